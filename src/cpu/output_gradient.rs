//! Twin of `shaders/output_gradient.wgsl`, for one slot: the output layer's loss, its gradient and the count of right answers.

use super::{Arithmetic, Real};
use crate::config::OutputLoss;
use crate::layout::Layer;

/// Each logarithm of the binary cross-entropy is at least this (as in PyTorch).
const LOG_FLOOR: f32 = -100.0;
/// Classes whose exponentials are kept.
const KEPT_CLASSES: usize = 16;

/// Writes `deltas`, adds each row's loss and, if `count`, its right answer to `row_metrics`; shapes as in [`crate::layout`],
/// without the slot axis. `labels` is `[batch]`. With the `partner`'s logits, `layer.mutual` of the target is its softmax
/// (cross-entropy only).
#[expect(clippy::too_many_arguments, reason = "the bindings and constants of the kernel, in its order")]
pub fn output_gradient<A: Arithmetic>(
    layer: &Layer,
    kind: OutputLoss,
    count: bool,
    logits: &[f32],
    partner: Option<&[f32]>,
    labels: &[u32],
    deltas: &mut [A::Stored],
    row_metrics: &mut [A::Stored],
) {
    let batch_size = layer.batch_size as usize;
    let rows = logits.chunks_exact(layer.output_stride()).zip(deltas.chunks_exact_mut(layer.weight_stride()));
    for (row, ((logits, delta), &label)) in rows.zip(labels).enumerate() {
        let width = layer.output_width as usize;
        let (mut loss, right) = row_gradient::<A>(batch_size, kind, &logits[..width], label as usize, delta);
        if let Some(partner) = partner {
            let partner = &partner[row * layer.output_stride()..][..width];
            loss = mix_in_partner::<A>(layer, &logits[..width], partner, loss, delta);
        }
        let mut add = |index: u32, number: A::Number| {
            let sum = &mut row_metrics[index as usize * batch_size + row];
            *sum = A::store(A::load(*sum) + number);
        };
        add(layer.index, loss);
        if count {
            add(layer.layer_count, A::Number::lift(f32::from(u8::from(right))));
        }
    }
}

/// Turns the cross-entropy's `loss` and `delta` of one image into those with the partner's softmax in the target; returns the loss.
fn mix_in_partner<A: Arithmetic>(
    layer: &Layer,
    logits: &[f32],
    partner: &[f32],
    loss: A::Number,
    delta: &mut [A::Stored],
) -> A::Number {
    let lift = A::Number::lift;
    let (share, rest) = (lift(layer.mutual), lift(1.0) - lift(layer.mutual));
    let scale = lift(1.0) / lift(layer.batch_size as f32);
    let softmax = |logits: &[f32]| {
        let largest = logits.iter().copied().fold(f32::MIN, f32::max);
        let terms: Vec<_> = logits.iter().map(|&logit| (lift(logit) - lift(largest)).exp()).collect();
        let sum = A::sum(terms.iter().copied());
        (terms.into_iter().map(|term| term / sum).collect::<Vec<_>>(), lift(largest), sum.ln())
    };
    let ((p, largest, log_sum), (q, ..)) = (softmax(logits), softmax(partner));
    for ((delta, &p), &q) in delta.iter_mut().zip(&p).zip(&q) {
        *delta = A::store(rest * A::load(*delta) + share * (p - q) * scale);
    }
    let cross = A::sum(q.iter().zip(logits).map(|(&q, &logit)| q * (log_sum - (lift(logit) - largest))));
    rest * loss + share * cross
}

/// One image: fills `delta`, returns the loss and whether the largest logit is the label's. See the kernel's header for the
/// terms: `tail` is the sum of the exponentials of all but the largest logit, relative to the second largest.
fn row_gradient<A: Arithmetic>(
    batch_size: usize,
    kind: OutputLoss,
    logits: &[f32],
    label: usize,
    delta: &mut [A::Stored],
) -> (A::Number, bool) {
    let lift = A::Number::lift;
    let one = lift(1.0);
    let top = (1..logits.len()).fold(0, |top, k| if logits[k] > logits[top] { k } else { top });
    let z = |k: usize| lift(logits[k]);
    let largest = z(top);
    let others = || (0..logits.len()).filter(|&k| k != top);
    let second = lift(others().map(|k| logits[k]).fold(-3.4e38, f32::max));
    // Exponentials are most of the work, and each is used several times: those of the first classes are kept.
    let mut kept = [[one; 2]; KEPT_CLASSES];
    for (kept, &logit) in kept.iter_mut().zip(logits) {
        *kept = [lift(logit) - second, lift(logit) - largest].map(A::Number::exp);
    }
    let above_second = |k: usize| if k < KEPT_CLASSES { kept[k][0] } else { (z(k) - second).exp() };
    let term = |k: usize| if k < KEPT_CLASSES { kept[k][1] } else { (z(k) - largest).exp() };
    let tail = A::sum(others().map(above_second));
    let rest = tail * (second - largest).exp();
    let sum = one + rest;
    let log_sum = sum.ln();
    let batch = lift(batch_size as f32);
    delta[logits.len()..].fill(0.0.into());

    let loss = match kind {
        OutputLoss::CrossEntropy => {
            for (k, delta) in delta[..logits.len()].iter_mut().enumerate() {
                let gradient = match (k == label, k == top) {
                    (false, _) => term(k) / sum,
                    (true, true) => -rest / sum,
                    (true, false) => term(k) / sum - one,
                };
                *delta = A::store(gradient * (one / batch));
            }
            log_sum - (z(label) - largest)
        }
        OutputLoss::BinaryCrossEntropy => {
            let classes = lift(logits.len() as f32);
            let logarithm = |k: usize| {
                if k == label {
                    z(k) - largest - log_sum
                } else if k == top {
                    second - largest + tail.ln() - log_sum
                } else {
                    ((sum - term(k)) / sum).ln()
                }
            };
            let loss = -A::sum((0..logits.len()).map(|k| logarithm(k).max(lift(LOG_FLOOR)))) / classes;
            // q of a class that is not the largest.
            let q = |k: usize| if k == label { -one } else { term(k) / (sum - term(k)) };
            let q_others = A::sum(others().map(q));
            for (k, delta) in delta[..logits.len()].iter_mut().enumerate() {
                let gradient = if k == top {
                    ((if k == label { -rest } else { one }) - q_others) / sum
                } else {
                    let p = term(k) / sum;
                    let own = if k == label { (term(k) - sum) / sum } else { p };
                    let p_q_top = if top == label { -p } else { above_second(k) / tail / sum };
                    own - p * (q_others - q(k)) - p_q_top
                };
                *delta = A::store(gradient * (one / (batch * classes)));
            }
            loss
        }
    };
    (loss, top == label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Double, Single};
    use crate::layout::Views;
    use crate::model::Architecture;
    use crate::random::{Generator, Stream};

    /// The two losses straight from their definitions.
    fn loss(kind: OutputLoss, logits: &[f64], label: usize) -> f64 {
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|z| (z - largest).exp()).sum();
        let p = |k: usize| (logits[k] - largest).exp() / sum;
        match kind {
            OutputLoss::CrossEntropy => -p(label).ln(),
            OutputLoss::BinaryCrossEntropy => {
                let terms = (0..logits.len()).map(|k| if k == label { p(k).ln() } else { (1.0 - p(k)).ln() }.max(-100.0));
                -terms.sum::<f64>() / logits.len() as f64
            }
        }
    }

    const KINDS: [OutputLoss; 2] = [OutputLoss::BinaryCrossEntropy, OutputLoss::CrossEntropy];

    #[test]
    fn gradient_matches_finite_differences() {
        let mut generator = Generator::new(3, Stream::Check, 0);
        for kind in KINDS {
            for classes in [2usize, 3, 10, 33] {
                for label in [0, classes - 1] {
                    let logits: Vec<f32> = (0..classes).map(|_| 2.0 * generator.normal()).collect();
                    let mut wide: Vec<f64> = logits.iter().map(|&z| f64::from(z)).collect();
                    let mut delta = vec![f32::NAN; classes];
                    let (value, _) = row_gradient::<Double>(1, kind, &logits, label, &mut delta);
                    assert!((value - loss(kind, &wide, label)).abs() < 1e-12 * value.max(1.0));
                    for k in 0..classes {
                        let (step, centre) = (1e-5, wide[k]);
                        wide[k] = centre + step;
                        let above = loss(kind, &wide, label);
                        wide[k] = centre - step;
                        let below = loss(kind, &wide, label);
                        wide[k] = centre;
                        let expected = (above - below) / (2.0 * step);
                        // Truncation step²/6 ~ 2e-11, rounding 2⁻⁵³·|loss|/step ~ 1e-10, and the result's rounding to f32.
                        assert!((f64::from(delta[k]) - expected).abs() < 2e-9 + 1e-7 * expected.abs(), "{kind:?} {classes} {k}");
                    }
                }
            }
        }
    }

    /// Saturated rows: the closed forms of the limit. A wrong answer with all the probability has gradient +2 and −2 (in units
    /// of 1/(B·C)) under binary cross-entropy, where the textbook form divides by zero.
    #[test]
    fn saturated_rows_have_the_limits_gradient() {
        let mut delta = vec![f32::NAN; 4];
        let (loss, right) = row_gradient::<Single>(1, OutputLoss::BinaryCrossEntropy, &[500.0, 0.0, -500.0], 1, &mut delta);
        assert!(!right);
        assert_eq!(loss, 200.0 / 3.0);
        assert_eq!(delta, [2.0 / 3.0, -2.0 / 3.0, 0.0, 0.0]);
        let (loss, right) = row_gradient::<Single>(1, OutputLoss::BinaryCrossEntropy, &[500.0, 0.0, -500.0], 0, &mut delta);
        assert!(right && loss == 0.0 && delta.iter().all(|&value| value == 0.0));
        let (loss, _) = row_gradient::<Single>(1, OutputLoss::CrossEntropy, &[500.0, 0.0, -500.0], 1, &mut delta);
        assert_eq!((loss, delta[0], delta[1]), (500.0, 1.0, -1.0));
        // One class leaves nothing to learn.
        for kind in KINDS {
            assert_eq!(row_gradient::<Single>(1, kind, &[3.0], 0, &mut delta), (0.0, true));
        }
    }

    /// With the partner's softmax in the target: against finite differences of the definition.
    #[test]
    fn a_mixed_target_has_its_gradient() {
        let plain = Layer::new(&Architecture::new(vec![2, 4, 4]).unwrap(), 1, 1, Views::Replica);
        let layer = Layer { mutual: 0.3, ..plain };
        let (logits, partner) = ([0.3f32, -1.2, 2.0, 0.7, 1.0, 0.0, 0.0, 0.0], [1.1f32, 0.4, -0.6, 2.2, 1.0, 0.0, 0.0, 0.0]);
        let (mut deltas, mut metrics) = (vec![f32::NAN; 4], vec![0.0f32; layer.metrics_len()]);
        let (loss, label) = (OutputLoss::CrossEntropy, 1);
        output_gradient::<Double>(&layer, loss, false, &logits, Some(&partner), &[label], &mut deltas, &mut metrics);
        let softmax = |z: &[f64]| {
            let sum: f64 = z.iter().map(|z| z.exp()).sum();
            z.iter().map(|z| z.exp() / sum).collect::<Vec<_>>()
        };
        let wide = |values: &[f32]| values[..4].iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        let share = f64::from(layer.mutual);
        let target: Vec<f64> = softmax(&wide(&partner))
            .iter()
            .enumerate()
            .map(|(k, q)| share * q + if k == label as usize { 1.0 - share } else { 0.0 })
            .collect();
        let value = |z: &[f64]| -softmax(z).iter().zip(&target).map(|(p, t)| t * p.ln()).sum::<f64>();
        assert!((f64::from(metrics[1]) - value(&wide(&logits))).abs() < 1e-6);
        for k in 0..4 {
            let [above, below] = [1e-5, -1e-5].map(|step| {
                let mut moved = wide(&logits);
                moved[k] += step;
                value(&moved)
            });
            // Truncation is of the order of step², and the result is rounded to f32.
            assert!((f64::from(deltas[k]) - (above - below) / 2e-5).abs() < 1e-7, "{k}");
        }
    }
}
