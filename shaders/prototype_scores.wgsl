// prototype_scores
// How near each unit row r is to the prototypes C_k that guide its slot (the partner's, or its own):
//
//     scores[row, k] = r.C_k / temperature, or ABSENT where no image of the batch is of class k;  0 behind the last class
//
// Grid: x = rows (64 a workgroup), y = places of a row of scores, z = slots; one invocation a score.
// Memory: the row and the prototype read (cached), one number written.

#import constants
#import Prototypes

@group(0) @binding(0) var<uniform> shape: Prototypes;
@group(0) @binding(1) var<storage, read> rows: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> prototypes: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> counts: array<u32>;
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    let k = id.y;
    let slot = id.z;
    if (row >= shape.batch_size) {
        return;
    }
    let guide = (slot ^ shape.partner) * shape.classes + k;
    var score = 0.0;
    if (k < shape.classes) {
        let first = (slot * shape.batch_size + row) * shape.quads;
        for (var quad = 0u; quad < shape.quads; quad++) {
            score += dot(rows[first + quad], prototypes[guide * shape.quads + quad]);
        }
        score = select(ABSENT, score * shape.inverse_temperature, counts[guide] > 0u);
    }
    let columns = (shape.classes + 3u) / 4u * 4u;
    scores[(slot * shape.batch_size + row) * columns + k] = score;
}
