// What another lane of the subgroup holds.
fn from_lane(value: vec4<f32>, lane: u32) -> vec4<f32> {
    return subgroupShuffle(value, lane);
}
