// The output layer's loss for one row, on p = softmax(z): the loss, its gradient with respect to z, and whether the row was
// classified right.
//
// CROSS_ENTROPY: loss = -log p_y, delta = (p - t) / batch.
// Otherwise binary cross-entropy on p, mean over batch and classes C (method of the paper):
//     loss = -(1/C) sum_k [t_k log p_k + (1 - t_k) log(1 - p_k)], each log at least -100;    q_k = -t_k + (1 - t_k) p_k / (1 - p_k)
//     delta_k = (q_k - p_k sum_j q_j) / (batch C)
//
// Let top be the row's largest logit and second the largest of the others. With e_k = exp(z_k - z_top), e_top = 1:
//     rest = sum of e_k over k != top,   p_top = 1 / (1 + rest),   1 - p_top = rest / (1 + rest)
//     share_k = exp(z_k - z_second) / sum of the same over k != top = p_k / (1 - p_top)
// so the gradient loses no digits as p -> 1, and no infinity arises where rest underflows to 0. (The loss itself is reported
// through log, whose error near 1 is absolute.)
//
// The kernel defines LossShape, and where rows stand: logit(shape, row, k) and store_delta_at(shape, row, k, delta).

const LOG_FLOOR = -100.0;

struct OutputLoss {
    loss: f32,
    right: f32,
}

fn output_loss(shape: LossShape, classes: u32, row: u32, label: u32) -> OutputLoss {
    var top = 0u;
    for (var k = 1u; k < classes; k++) {
        if (logit(shape, row, k) > logit(shape, row, top)) {
            top = k;
        }
    }
    let largest = logit(shape, row, top);
    var second = -3.4e38;
    for (var k = 0u; k < classes; k++) {
        if (k != top) {
            second = max(second, logit(shape, row, k));
        }
    }
    // The sum over the others, relative to the second largest: between 1 and C.
    var tail = 0.0;
    for (var k = 0u; k < classes; k++) {
        if (k != top) {
            tail += exp(logit(shape, row, k) - second);
        }
    }
    let rest = tail * exp(second - largest);
    let sum = 1.0 + rest;
    var loss = 0.0;

    if (CROSS_ENTROPY) {
        let scale = 1.0 / f32(shape.batch_size);
        for (var k = 0u; k < classes; k++) {
            var delta = exp(logit(shape, row, k) - largest) / sum;
            if (k == label) {
                // p - 1 of the largest term, from the others.
                delta = select(delta - 1.0, -rest / sum, k == top);
            }
            store_delta_at(shape, row, k, delta * scale);
        }
        loss = log(sum) - (logit(shape, row, label) - largest);
    } else {
        let scale = 1.0 / (f32(shape.batch_size) * f32(classes));
        let log_sum = log(sum);
        // Sum of q over all classes but the top one, and the loss.
        var others = 0.0;
        for (var k = 0u; k < classes; k++) {
            let term = exp(logit(shape, row, k) - largest);
            if (k == label) {
                loss -= max(logit(shape, row, k) - largest - log_sum, LOG_FLOOR);
            } else if (k == top) {
                loss -= max(second - largest + log(tail) - log_sum, LOG_FLOOR);
            } else {
                loss -= max(log((sum - term) / sum), LOG_FLOOR);
            }
            if (k != top) {
                others += select(term / (sum - term), -1.0, k == label);
            }
        }
        loss /= f32(classes);
        for (var k = 0u; k < classes; k++) {
            let term = exp(logit(shape, row, k) - largest);
            var delta: f32;
            if (k == top) {
                delta = (select(1.0, -rest, k == label) - others) / sum;
            } else {
                let p = term / sum;
                let q = select(term / (sum - term), -1.0, k == label);
                let own = select(p, (term - sum) / sum, k == label);
                // p_k q_top where top is not the label: (p_k / (1 - p_top)) p_top.
                let share = exp(logit(shape, row, k) - second) / tail / sum;
                delta = own - p * (others - q) - select(share, -p, top == label);
            }
            store_delta_at(shape, row, k, delta * scale);
        }
    }
    return OutputLoss(loss, select(0.0, 1.0, top == label));
}
