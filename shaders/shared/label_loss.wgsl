#import constants

// How badly a row's label y fits its logits z, and the class that they say:
//
//     loss = log sum_k exp(z_k - z_top) - (z_y - z_top),    answer = top, the first of the largest
//
// Of a row without a label the loss is that at the answer. The kernel defines LossShape, and logit(shape, row, k) for the rows of all slots.

struct LabelLoss {
    loss: f32,
    answer: u32,
}

fn label_loss(shape: LossShape, classes: u32, row: u32, label: u32) -> LabelLoss {
    var top = 0u;
    for (var k = 1u; k < classes; k++) {
        if (logit(shape, row, top) < logit(shape, row, k)) {
            top = k;
        }
    }
    let largest = logit(shape, row, top);
    var sum = 0.0;
    for (var k = 0u; k < classes; k++) {
        if (k != top) {
            sum += exp(logit(shape, row, k) - largest);
        }
    }
    let at = select(label, top, label == UNLABELLED);
    return LabelLoss(log(1.0 + sum) - (logit(shape, row, at) - largest), top);
}
