//! How good answers are: accuracy, loss, which classes are taken for which, and the worst mistakes.

mod answers;

pub use answers::Answers;

use crate::error::{Error, Result};
use crate::model::Network;
use serde::{Deserialize, Serialize};

/// The most mistakes that are listed.
pub const MISTAKES: usize = 100;

/// Answers compared with labels; of all networks together unless a field names A or B.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Images that were asked about.
    pub images: usize,
    /// Share of right answers of A.
    pub accuracy_a: f64,
    /// Share of right answers of B.
    pub accuracy_b: f64,
    /// Share of right answers of all networks together.
    pub accuracy: f64,
    /// Mean cross-entropy of A, in nats. Probabilities that f32 rounds to zero count as its smallest normal number.
    pub loss_a: f64,
    /// Mean cross-entropy of B.
    pub loss_b: f64,
    /// Mean cross-entropy of all networks together.
    pub loss: f64,
    /// One entry a class.
    pub classes: Vec<ClassScore>,
    /// `[label][answer]`: images of a class, by the class that they were taken for.
    pub confusion: Vec<Vec<u64>>,
    /// The mistakes that were made with most confidence, worst first, at most [`MISTAKES`].
    pub mistakes: Vec<Mistake>,
}

/// How well one class is told from the others. What would be 0/0 is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// Of the images that were taken for this class, the share that belongs to it.
    pub precision: Option<f64>,
    /// Of the images of this class, the share that was recognised.
    pub recall: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
    /// Images of this class.
    pub support: u64,
}

/// An image that was taken for something else.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// Its position in the set.
    pub image: usize,
    /// Its class.
    pub label: usize,
    /// The class that was predicted.
    pub answer: usize,
    /// The probability of that class.
    pub probability: f32,
}

impl Evaluation {
    /// Compares answers with the labels of the same images.
    pub fn new(answers: &Answers, labels: &[u8]) -> Result<Self> {
        let classes = answers.classes();
        if labels.len() != answers.count() || labels.is_empty() {
            let message = format!("{} labels do not match {} answers; give a label for each", labels.len(), answers.count());
            return Err(Error::Dataset(message));
        }
        if let Some(&label) = labels.iter().find(|&&label| usize::from(label) >= classes) {
            return Err(Error::Dataset(format!("label {label} is not one of the {classes} classes; correct the data set")));
        }
        let mut confusion = vec![vec![0; classes]; classes];
        let mut mistakes = Vec::new();
        for (image, &label) in labels.iter().enumerate() {
            let (label, answer) = (usize::from(label), answers.answer(Network::Ensemble, image));
            confusion[label][answer] += 1;
            if answer != label {
                let probability = answers.probabilities(Network::Ensemble, image)[answer];
                mistakes.push(Mistake { image, label, answer, probability });
            }
        }
        mistakes.sort_by(|one, other| other.probability.total_cmp(&one.probability));
        mistakes.truncate(MISTAKES);
        let accuracy = |network| accuracy(answers, network, labels);
        let loss = |network| loss(answers, network, labels);
        Ok(Self {
            images: labels.len(),
            accuracy_a: accuracy(Network::A),
            accuracy_b: accuracy(Network::B),
            accuracy: accuracy(Network::Ensemble),
            loss_a: loss(Network::A),
            loss_b: loss(Network::B),
            loss: loss(Network::Ensemble),
            classes: (0..classes).map(|class| ClassScore::new(&confusion, class)).collect(),
            confusion,
            mistakes,
        })
    }
}

impl ClassScore {
    fn new(confusion: &[Vec<u64>], class: usize) -> Self {
        let right = confusion[class][class];
        let support = confusion[class].iter().sum();
        let answered: u64 = confusion.iter().map(|row| row[class]).sum();
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        Self {
            precision: share(right, answered),
            recall: share(right, support),
            f1: share(2 * right, support + answered),
            support,
        }
    }
}

fn accuracy(answers: &Answers, network: Network, labels: &[u8]) -> f64 {
    let right = |&(image, &label): &(usize, &u8)| answers.answer(network, image) == usize::from(label);
    labels.iter().enumerate().filter(right).count() as f64 / labels.len() as f64
}

fn loss(answers: &Answers, network: Network, labels: &[u8]) -> f64 {
    let one = |(image, &label): (usize, &u8)| {
        -f64::from(answers.probabilities(network, image)[usize::from(label)].max(f32::MIN_POSITIVE)).ln()
    };
    labels.iter().enumerate().map(one).sum::<f64>() / labels.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four images of three classes, of which the last never appears as a label.
    fn answers() -> Answers {
        let a = vec![0.8, 0.1, 0.1, 0.5, 0.25, 0.25, 0.0, 0.5, 0.5, 0.1, 0.1, 0.8];
        Answers::new(&[a.clone(), a], 3)
    }

    #[test]
    fn closed_forms() {
        let evaluation = Evaluation::new(&answers(), &[0, 1, 1, 0]).unwrap();
        assert_eq!((evaluation.images, evaluation.accuracy, evaluation.accuracy_a), (4, 0.5, 0.5));
        assert_eq!(evaluation.confusion, [[1, 0, 1], [1, 1, 0], [0, 0, 0]]);
        let score = evaluation.classes[0];
        assert_eq!((score.precision, score.recall, score.f1, score.support), (Some(0.5), Some(0.5), Some(0.5), 2));
        let score = evaluation.classes[1];
        assert_eq!((score.precision, score.recall, score.f1), (Some(1.0), Some(0.5), Some(2.0 / 3.0)));
        let score = evaluation.classes[2];
        assert_eq!((score.precision, score.recall, score.f1, score.support), (Some(0.0), None, Some(0.0), 0));
        let loss = -(0.8f64.ln() + 0.25f64.ln() + 0.5f64.ln() + 0.1f64.ln()) / 4.0;
        assert!((evaluation.loss - loss).abs() < 1e-7 && (evaluation.loss_b - loss).abs() < 1e-7);
        let worst = Mistake { image: 3, label: 0, answer: 2, probability: 0.8 };
        assert_eq!((evaluation.mistakes.len(), evaluation.mistakes[0]), (2, worst));
        // A class that was neither seen nor answered has no scores, and a certain mistake a finite loss.
        let one = Evaluation::new(&Answers::new(&[vec![1.0, 0.0, 0.0], vec![1.0, 0.0, 0.0]], 3), &[1]).unwrap();
        assert_eq!((one.classes[2].precision, one.classes[2].f1), (None, None));
        assert!(one.loss > 87.0 && one.loss.is_finite());
    }

    #[test]
    fn labels_must_fit() {
        for labels in [&[0, 1, 1][..], &[0, 1, 1, 3], &[]] {
            assert!(Evaluation::new(&answers(), labels).is_err());
        }
    }
}
