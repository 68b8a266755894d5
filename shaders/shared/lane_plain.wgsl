// Every invocation has loaded what it needs: nothing to hand round. (The other form of from_lane needs subgroups.)
fn from_lane(value: vec4<f32>, lane: u32) -> vec4<f32> {
    return value;
}
