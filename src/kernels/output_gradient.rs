//! output_gradient: the loss of the output layer or of a hidden layer's head, its gradient, and the count of right answers.

use super::case::{BATCHES, Contents, SIZES, SLOTS, Take, extreme_rows, scale_a_row, without_subnormals};
use super::trust::Selection;
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::{Arithmetic, Real};
use crate::config::OutputLoss;
use crate::error::Result;
use crate::layout::{RowLoss, Rows, Step, Views};

/// Loss and gradient of logits.
///
/// In bounds: rows past the batch return; loops run to the row's width. A label is compared and indexes nothing but the row, and is below
/// the number of classes: [`crate::engine::Job::check`].
#[derive(Clone, Debug)]
pub struct OutputGradient {
    /// The logits and their loss.
    pub shape: RowLoss,
    /// Which loss.
    pub loss: OutputLoss,
    /// `[slot, batch, quads(classes)]`.
    pub logits: Tensor,
    /// `[view, batch]`, whole numbers.
    pub labels: Tensor,
    /// `[slot, batch, quads(classes)]`.
    pub deltas: Tensor,
    /// `[slot, layers + 1, batch]`.
    pub row_metrics: Tensor,
    /// Whether right answers are counted: those of the network are, those of a hidden layer's head are not.
    pub counts: bool,
    /// Where not all rows have labels: how many have, the first ones, among which right answers are counted.
    pub labelled: Option<u32>,
    /// What each row counts, where not all count the same.
    pub selection: Option<Selection>,
}

impl Describe for OutputGradient {
    fn operands(&self) -> Vec<Operand> {
        let reads = [self.logits, self.labels].map(Operand::read);
        let writes = [self.deltas, self.row_metrics].map(Operand::write);
        reads.into_iter().chain(writes).chain([Selection::operand(self.selection)]).collect()
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn variant(&self, _: Launch) -> Variant {
        let variant = Variant::new(Kernel::OutputGradient).flag("CROSS_ENTROPY", self.loss == OutputLoss::CrossEntropy);
        let variant = variant.flag("COUNTS", self.counts).size("LABELLED_ROWS", self.labelled.unwrap_or(0));
        Selection::constants(self.selection, variant)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        [self.shape.batch_size.div_ceil(64), launch.slots as u32, 1]
    }
}

impl OutputGradient {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let (mut deltas, mut row_metrics) = (memory.take(self.deltas), memory.take(self.row_metrics));
        let (logits, labels) = (memory.own(self.logits), memory.words(self.labels));
        let weights = self.selection.map(|selection| selection.of(memory));
        let counted = if self.counts { self.labelled.unwrap_or(self.shape.batch_size) } else { 0 };
        output_gradient::<A>(&self.shape, self.loss, counted, logits, labels, weights, &mut deltas, &mut row_metrics);
        memory.put(self.deltas, Data::Numbers(deltas));
        memory.put(self.row_metrics, Data::Numbers(row_metrics));
    }
}

/// Each logarithm of the binary cross-entropy is at least this (as in PyTorch).
const LOG_FLOOR: f32 = -100.0;
/// Classes whose exponentials are kept.
const KEPT_CLASSES: usize = 16;

/// One slot; shapes as in [`OutputGradient`], without the slot axis. Adds each row's loss to `row_metrics`, and the right answers of the
/// first `counted` rows; with `weights` `[batch]` each row's loss and gradient count so much.
#[expect(clippy::too_many_arguments, reason = "the bindings of the kernel and its two constants")]
pub fn output_gradient<A: Arithmetic>(
    shape: &RowLoss,
    kind: OutputLoss,
    counted: u32,
    logits: &[f32],
    labels: &[u32],
    weights: Option<&[f32]>,
    deltas: &mut [A::Stored],
    row_metrics: &mut [A::Stored],
) {
    let (batch_size, width, stride) = (shape.batch_size as usize, shape.width as usize, shape.rows().stride());
    let lift = A::Number::lift;
    let (mut numbers, mut gradient) = (vec![lift(0.0); width], vec![lift(0.0); width]);
    let rows = logits.chunks_exact(stride).zip(deltas.chunks_exact_mut(stride));
    for (row, ((logits, delta), &label)) in rows.zip(labels).enumerate() {
        numbers.iter_mut().zip(logits).for_each(|(number, &logit)| *number = A::Number::lift(logit));
        let (loss, right) = row_gradient::<A>(batch_size, kind, &numbers, label as usize, &mut gradient);
        let weight = weights.map(|weights| lift(weights[row]));
        let weighted = |number: A::Number| weight.map_or(number, |weight| number * weight);
        delta.iter_mut().zip(&gradient).for_each(|(delta, &gradient)| *delta = A::store(weighted(gradient)));
        delta[width..].fill(0.0.into());
        let mut add = |metric: u32, number: A::Number| {
            let sum = &mut row_metrics[metric as usize * batch_size + row];
            *sum = A::store(A::load(*sum) + number);
        };
        add(shape.metric, weighted(loss));
        if row < counted as usize {
            add(shape.metrics - 1, A::Number::lift(f32::from(u8::from(right))));
        }
    }
}

/// One image: fills `delta`, the gradient of the mean over the batch, and returns the loss and whether the largest logit is the label's.
/// See `shaders/shared/output_loss.wgsl` for the terms: `tail` is the sum of the exponentials of all but the largest logit, relative to the second largest.
pub(super) fn row_gradient<A: Arithmetic>(
    batch_size: usize,
    kind: OutputLoss,
    logits: &[A::Number],
    label: usize,
    delta: &mut [A::Number],
) -> (A::Number, bool) {
    let lift = A::Number::lift;
    let one = lift(1.0);
    let top = (1..logits.len()).fold(0, |top, k| if logits[top].is_below(logits[k]) { k } else { top });
    let z = |k: usize| logits[k];
    let largest = z(top);
    let others = || (0..logits.len()).filter(|&k| k != top);
    let second = others().map(z).fold(lift(-3.4e38), A::Number::max);
    // Exponentials are most of the work, and each is used several times: those of the first classes are kept.
    let mut kept = [[one; 2]; KEPT_CLASSES];
    for (kept, &logit) in kept.iter_mut().zip(logits) {
        *kept = [logit - second, logit - largest].map(A::Number::exp);
    }
    let above_second = |k: usize| if k < KEPT_CLASSES { kept[k][0] } else { (z(k) - second).exp() };
    let term = |k: usize| if k < KEPT_CLASSES { kept[k][1] } else { (z(k) - largest).exp() };
    let tail = A::sum(others().map(above_second));
    let rest = tail * (second - largest).exp();
    let sum = one + rest;
    let log_sum = sum.ln();
    let batch = lift(batch_size as f32);

    let loss = match kind {
        OutputLoss::CrossEntropy => {
            for (k, delta) in delta.iter_mut().enumerate() {
                let gradient = match (k == label, k == top) {
                    (false, _) => term(k) / sum,
                    (true, true) => -rest / sum,
                    (true, false) => term(k) / sum - one,
                };
                *delta = gradient * (one / batch);
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
            for (k, delta) in delta.iter_mut().enumerate() {
                let gradient = if k == top {
                    ((if k == label { -rest } else { one }) - q_others) / sum
                } else {
                    let p = term(k) / sum;
                    let own = if k == label { (term(k) - sum) / sum } else { p };
                    let p_q_top = if top == label { -p } else { above_second(k) / tail / sum };
                    own - p * (q_others - q(k)) - p_q_top
                };
                *delta = gradient * (one / (batch * classes));
            }
            loss
        }
    };
    (loss, top == label)
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for classes in SIZES {
        for batch_size in BATCHES {
            for loss in [OutputLoss::BinaryCrossEntropy, OutputLoss::CrossEntropy] {
                let shape = Rows::new(classes, batch_size, false).loss(Views::Replica, 1, 3);
                let mut contents = Contents::new(number);
                // Its rows 1 to 6 are all equal, all but equal, saturated to 1 and 0 by logits of ±10⁴, all but equal, and saturated
                // again.
                let mut logits = extreme_rows(&mut contents.generator, SLOTS * batch_size, classes);
                scale_a_row(&mut logits, classes, 1e30);
                // Which of several subnormal numbers is the largest, no device has to know.
                without_subnormals(&mut logits);
                let selection = (number % 3 > 0).then(|| {
                    let weights = (0..SLOTS * batch_size).map(|_| 1.7 * contents.generator.below(2) as f32).collect();
                    Selection { weights: contents.numbers(Level::Slot, weights), by_partner: number % 3 == 2 }
                });
                let operation = OutputGradient {
                    shape,
                    loss,
                    logits: contents.numbers(Level::Slot, logits),
                    labels: contents.labels(Level::View(Views::Replica), batch_size, classes as u32),
                    deltas: contents.poison(Level::Slot, shape.rows().len()),
                    row_metrics: contents.sums(Level::Slot, shape.metrics_len()),
                    counts: number % 4 != 1,
                    labelled: (number % 5 == 2).then_some(batch_size.div_ceil(2) as u32),
                    selection,
                };
                let name = format!("{classes} classes batch {batch_size} {loss:?}");
                take(contents.case(name, Step::default(), operation))?;
                number += 1;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::{Double, Single};
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
                    let mut delta = vec![f64::NAN; classes];
                    let (value, _) = row_gradient::<Double>(1, kind, &wide, label, &mut delta);
                    assert!((value - loss(kind, &wide, label)).abs() < 1e-12 * value.max(1.0));
                    for k in 0..classes {
                        let (step, centre) = (1e-5, wide[k]);
                        wide[k] = centre + step;
                        let above = loss(kind, &wide, label);
                        wide[k] = centre - step;
                        let below = loss(kind, &wide, label);
                        wide[k] = centre;
                        let expected = (above - below) / (2.0 * step);
                        // Truncation step²/6 ~ 2e-11, rounding 2⁻⁵³·|loss|/step ~ 1e-10.
                        assert!((delta[k] - expected).abs() < 2e-9, "{kind:?} {classes} {k}");
                    }
                }
            }
        }
    }

    /// Saturated rows: the closed forms of the limit. A wrong answer with all the probability has gradient +2 and −2 (in units
    /// of 1/(B·C)) under binary cross-entropy, where the textbook form divides by zero.
    #[test]
    fn saturated_rows_have_the_limits_gradient() {
        let mut delta = vec![f32::NAN; 3];
        let (loss, right) = row_gradient::<Single>(1, OutputLoss::BinaryCrossEntropy, &[500.0, 0.0, -500.0], 1, &mut delta);
        assert!(!right);
        assert_eq!(loss, 200.0 / 3.0);
        assert_eq!(delta, [2.0 / 3.0, -2.0 / 3.0, 0.0]);
        let (loss, right) = row_gradient::<Single>(1, OutputLoss::BinaryCrossEntropy, &[500.0, 0.0, -500.0], 0, &mut delta);
        assert!(right && loss == 0.0 && delta.iter().all(|&value| value == 0.0));
        let (loss, _) = row_gradient::<Single>(1, OutputLoss::CrossEntropy, &[500.0, 0.0, -500.0], 1, &mut delta);
        assert_eq!((loss, delta[0], delta[1]), (500.0, 1.0, -1.0));
        // One class leaves nothing to learn.
        for kind in KINDS {
            assert_eq!(row_gradient::<Single>(1, kind, &[3.0], 0, &mut delta), (0.0, true));
        }
    }
}
