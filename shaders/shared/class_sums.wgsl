// The mean directions of the classes among a slot's unit rows, in workgroup memory, for kernels in which each workgroup sums those it needs.
//
// An invocation owns one quad of the classes that leave the same rest: each number is summed in the batch's order, by one invocation.
//
// The kernel says how many THREADS a workgroup has and how many SETS of prototypes it keeps, binds `labels`, and defines
// unit_quad(slot, row, quad), takes_part(slot, row) and leave_prototype(place, value), whose place counts quads.

#import row_scale

// [set][class][quad]
var<workgroup> directions: array<vec4<f32>, SETS * CLASSES * GUIDE_QUADS>;
var<workgroup> counts: array<u32, SETS * CLASSES>;

// Those of slot `guide` into set `chosen`, by all invocations of the workgroup together; `leave`: they are left behind from `first_left` on.
fn sum_prototypes(guides: Prototypes, guide: u32, chosen: u32, thread: u32, leave: bool, first_left: u32) {
    let quads = guides.quads;
    let batch_size = guides.batch_size;
    let parts = max(THREADS / quads, 1u);
    let first_label = (guide >> guides.label_shift) * batch_size;
    for (var item = thread; item < parts * quads; item += THREADS) {
        let quad = item % quads;
        let part = item / quads;
        for (var k = part; k < CLASSES; k += parts) {
            directions[(chosen * CLASSES + k) * GUIDE_QUADS + quad] = vec4<f32>(0.0);
            if (quad == 0u) {
                counts[chosen * CLASSES + k] = 0u;
            }
        }
        for (var row = 0u; row < batch_size; row++) {
            let label = labels[first_label + row];
            if (label % parts == part && takes_part(guide, row)) {
                directions[(chosen * CLASSES + label) * GUIDE_QUADS + quad] += unit_quad(guide, row, quad);
                if (quad == 0u) {
                    counts[chosen * CLASSES + label] += 1u;
                }
            }
        }
    }
    workgroupBarrier();
    for (var k = thread; k < CLASSES; k += THREADS) {
        let first = (chosen * CLASSES + k) * GUIDE_QUADS;
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
