// The mean directions of the classes among a slot's unit rows, in workgroup memory, for kernels in which each workgroup sums those it needs.
//
// An invocation owns one quad of a few classes at a time, in registers: each number is summed in the batch's order, by one invocation. It
// loads several rows before it adds the first one.
//
// The kernel says how many THREADS a workgroup has, binds `labels`, and defines
// unit_quad(slot, row, quad), takes_part(slot, row) and leave_prototype(place, value), whose place counts quads.

#import row_scale

// Invocations that share a quad, classes that one of them sums at a time, rows that it loads at a time.
const PARTS = max(THREADS / GUIDE_QUADS, 1u);
const OWNED = min((CLASSES + PARTS - 1u) / PARTS, 16u);
const AHEAD = max(8u / OWNED, 1u);

// [class][quad]
var<workgroup> directions: array<vec4<f32>, CLASSES * GUIDE_QUADS>;
var<workgroup> counts: array<u32, CLASSES>;

// Those of slot `guide`, by all invocations of the workgroup together; `leave`: they are left behind from `first_left` on.
fn sum_prototypes(guides: Prototypes, guide: u32, thread: u32, leave: bool, first_left: u32) {
    let quads = guides.quads;
    let batch_size = guides.batch_size;
    let first_label = (guide >> guides.label_shift) * batch_size;
    for (var item = thread; item < PARTS * quads; item += THREADS) {
        let quad = item % quads;
        let part = item / quads;
        for (var first = part; first < CLASSES; first += PARTS * OWNED) {
            // Said, not left out: one browser does not begin a variable without a value anew in each round of a loop.
            var sums = array<vec4<f32>, OWNED>();
            var rows = array<u32, OWNED>();
            for (var row = 0u; row < batch_size; row += AHEAD) {
                var label: array<u32, AHEAD>;
                var unit: array<vec4<f32>, AHEAD>;
                for (var i = 0u; i < AHEAD; i++) {
                    let at = min(row + i, batch_size - 1u);
                    label[i] = select(CLASSES, labels[first_label + at], row + i < batch_size && takes_part(guide, at));
                    unit[i] = unit_quad(guide, at, quad);
                }
                for (var i = 0u; i < AHEAD; i++) {
                    for (var own = 0u; own < OWNED; own++) {
                        let met = label[i] == first + own * PARTS;
                        // No sum is -0, so that adding 0 changes nothing.
                        sums[own] += select(vec4<f32>(0.0), unit[i], met);
                        rows[own] += select(0u, 1u, met);
                    }
                }
            }
            for (var own = 0u; own < OWNED; own++) {
                let k = first + own * PARTS;
                if (k < CLASSES) {
                    directions[k * GUIDE_QUADS + quad] = sums[own];
                    if (quad == 0u) {
                        counts[k] = rows[own];
                    }
                }
            }
        }
    }
    workgroupBarrier();
    for (var k = thread; k < CLASSES; k += THREADS) {
        let first = k * GUIDE_QUADS;
        var squares = 0.0;
        for (var quad = 0u; quad < quads; quad++) {
            squares += dot(directions[first + quad], directions[first + quad]);
        }
        let scale = row_scale(guides.width, true, squares);
        for (var quad = 0u; quad < quads; quad++) {
            directions[first + quad] *= scale;
            if (leave) {
                leave_prototype(first_left + (guide * CLASSES + k) * quads + quad, directions[first + quad]);
            }
        }
    }
    workgroupBarrier();
}
