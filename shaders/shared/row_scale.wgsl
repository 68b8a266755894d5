#import constants

// What normalize.wgsl multiplies a row by whose squares sum up to `squares`.
fn row_scale(width: u32, one: bool, squares: f32) -> f32 {
    let inverse = 1.0 / sqrt(squares + SQUARE_FLOOR);
    return select(sqrt(f32(width)) * inverse, inverse, one);
}
