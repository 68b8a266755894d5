// A batch from the resident data set: bytes to numbers, or features as they are, by the epoch's order.
//
//     inputs[view, row] = (table[pixels of image order[view, first_row + row]], 0 ...)        labels[view, row] = its label
//     FEATURES: inputs[view, row] = (features of row order[view, first_row + row], 0 ...)     standardised before they came here
//
// MOVE: each view's copy of an image is shifted by a random whole number of pixels, new in each epoch (shared/augment.wgsl), zeros
// outside, and mirrored by chance where that was asked for. TURN: it is turned and resized too, each pixel sampled bilinearly where it came
// from. BEND: that place is displaced as the nodes around it are, between which displacements are interpolated. All channels move alike.
//
// A data set that exceeds one binding is cut into shards; the kernel runs once a shard, and a row is written by the one run
// whose shard holds its image. Rows past the batch's end repeat the last image; their readers must ignore them.
//
// Grid: x = quads of a row (64 an invocation group), y = rows, z = views.
// Memory: 4 + 1 bytes read and 16 written a quad; with MOVE and with FEATURES 16 bytes read, with TURN 64.

#import Shard
#import Step
#import random
#import augment
#import constants
#import records

@group(0) @binding(0) var<uniform> shard: Shard;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> records: array<u32>;
@group(0) @binding(3) var<storage, read> orders: array<u32>;
@group(0) @binding(4) var<storage, read> table: array<f32>;
@group(0) @binding(5) var<storage, read_write> inputs: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> labels: array<u32>;

var<workgroup> row_change: Change;
// BEND: of each node of the grid.
var<workgroup> displacements: array<vec2<f32>, ELASTIC_NODES>;

// What stands at a place of the channel whose first pixel is `plane`; the place may be outside.
fn pixel_at(record: u32, plane: u32, place: vec2<i32>) -> f32 {
    let size = vec2<i32>(i32(shard.width), i32(shard.height));
    let column = select(place.x, size.x - 1 - place.x, row_change.flip);
    let clamped = vec2<u32>(clamp(vec2<i32>(column, place.y), vec2<i32>(0), size - 1));
    let pixel = plane + clamped.y * shard.width + clamped.x;
    let byte = (records[record + pixel / 4u] >> (8u * (pixel % 4u))) & 0xffu;
    return table[select(0u, byte, all(place >= vec2<i32>(0)) && all(place < size))];
}

fn moved(record: u32, pixel: u32) -> f32 {
    let within = pixel % (shard.height * shard.width);
    let plane = pixel - within;
    let place = vec2<i32>(i32(within % shard.width), i32(within / shard.width)) - row_change.shift;
    if (!TURN) {
        return pixel_at(record, plane, place);
    }
    let middle = 0.5 * vec2<f32>(f32(shard.width) - 1.0, f32(shard.height) - 1.0);
    var from_middle = vec2<f32>(place) - middle;
    if (BEND) {
        from_middle += displaced(within % shard.width, within / shard.width);
    }
    let source = middle + vec2<f32>(
        row_change.turn.x * from_middle.x + row_change.turn.y * from_middle.y,
        row_change.turn.x * from_middle.y - row_change.turn.y * from_middle.x,
    );
    let corner = floor(source);
    let share = source - corner;
    let at = vec2<i32>(corner);
    let left = mix_by(pixel_at(record, plane, at), pixel_at(record, plane, at + vec2<i32>(0, 1)), share.y);
    let right = mix_by(pixel_at(record, plane, at + vec2<i32>(1, 0)), pixel_at(record, plane, at + vec2<i32>(1, 1)), share.y);
    return mix_by(left, right, share.x);
}

// The cell of the grid that holds a place along an axis of so many pixels, and the place's share of the way through it.
fn cell(place: u32, length: u32) -> vec2<f32> {
    let span = max(length - 1u, 1u);
    let first = min(ELASTIC_CELLS * place / span, ELASTIC_CELLS - 1u);
    return vec2<f32>(f32(first), f32(ELASTIC_CELLS * place - first * span) / f32(span));
}

fn displaced(column: u32, row: u32) -> vec2<f32> {
    let across = cell(column, shard.width);
    let down = cell(row, shard.height);
    let node = u32(down.x) * (ELASTIC_CELLS + 1u) + u32(across.x);
    let below = node + ELASTIC_CELLS + 1u;
    let left = displacements[node] + down.y * (displacements[below] - displacements[node]);
    let right = displacements[node + 1u] + down.y * (displacements[below + 1u] - displacements[node + 1u]);
    return left + across.y * (right - left);
}

fn mix_by(a: f32, b: f32, share: f32) -> f32 {
    return a + share * (b - a);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let quad = id.x;
    let row = id.y;
    let view = id.z;
    let place = image_of(shard, step, view, row);
    if (MOVE) {
        // The same for the whole row.
        if (thread == 0u) {
            row_change = change(shard, step.epoch, view, place);
        }
        if (BEND && thread < ELASTIC_NODES) {
            displacements[thread] = displacement(shard, step.epoch, view, place, thread);
        }
        workgroupBarrier();
    }
    // Images before the shard wrap around to huge numbers and fall out here as well.
    let image = place - shard.first_image;
    if (quad >= shard.input_quads || image >= shard.image_count) {
        return;
    }
    let record = image * shard.record_words;
    if (quad == 0u) {
        labels[view * shard.batch_size + row] = label_of(shard, record);
    }
    var numbers: vec4<f32>;
    if (MOVE && !FEATURES) {
        let pixel = min(vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(shard.pixels - 1u));
        numbers = vec4<f32>(moved(record, pixel.x), moved(record, pixel.y), moved(record, pixel.z), moved(record, pixel.w));
    } else {
        numbers = record_quad(record, quad);
    }
    inputs[(view * shard.batch_size + row) * shard.input_quads + quad] = padded(shard, quad, numbers);
}
