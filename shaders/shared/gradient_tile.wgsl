// One invocation's part of a weight gradient: TILE_INPUTS input quads, whose numbers are rows of the weights, x TILE_QUADS column quads.
struct GradientTile {
    // Where the slot's inputs and deltas begin.
    first_input: u32,
    first_delta: u32,
    // The first input quad.
    input: u32,
    // The first column quad; the next are LANES_X further each.
    quad: u32,
    // The invocation's number in the workgroup: those of one row of tiles are neighbours.
    thread: u32,
    // Whether the workgroup has the bias.
    has_bias: bool,
}
