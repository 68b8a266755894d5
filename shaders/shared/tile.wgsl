// One invocation's part of a matrix product: TILE_ROWS rows x TILE_QUADS column quads.
struct Tile {
    slot: u32,
    // The first row within the batch.
    row: u32,
    // The first column quad; the next are LANES_X further each.
    quad: u32,
    // The invocation's number in the workgroup: those of one row of tiles are neighbours.
    thread: u32,
}
