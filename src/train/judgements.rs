//! What networks say of training images that they have not learned.

use crate::dataset::Folds;

/// Probabilities and answers of all layers that answer, of all networks that left an image out, over the epochs of the second half of a run:
/// before that networks know too little.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgements {
    classes: usize,
    /// `[images, classes]`: sums of probabilities.
    sums: Vec<f32>,
    /// `[images, classes]`: how often an image was taken for a class.
    votes: Vec<u32>,
}

impl Judgements {
    /// Of so many training images, of which nothing is known yet.
    pub fn new(images: usize, classes: usize) -> Self {
        Self { classes, sums: vec![0.0; images * classes], votes: vec![0; images * classes] }
    }

    /// How many words [`Judgements::to_words`] gives.
    pub fn words(images: usize, classes: usize) -> usize {
        2 * images * classes
    }

    /// All of it, to be kept: the bits of the sums, then the votes.
    pub fn to_words(&self) -> Vec<u32> {
        self.sums.iter().map(|sum| sum.to_bits()).chain(self.votes.iter().copied()).collect()
    }

    /// What was kept as so many words; none where they are not as many.
    pub fn from_words(images: usize, classes: usize, words: &[u32]) -> Option<Self> {
        let (sums, votes) = words.split_at_checked(images * classes)?;
        let is_whole = votes.len() == sums.len();
        is_whole.then(|| Self { classes, sums: sums.iter().map(|&bits| f32::from_bits(bits)).collect(), votes: votes.to_vec() })
    }

    /// Takes in what was said after an epoch of so many, as [`crate::train::Event::Judged`] has it.
    pub fn observe(&mut self, folds: &Folds, epoch: u32, epochs: u32, probabilities: &[Vec<Vec<f32>>]) {
        if 2 * epoch <= epochs {
            return;
        }
        let classes = self.classes;
        for (slot, rows) in probabilities.iter().flat_map(|layer| layer.iter().enumerate()) {
            let (images, first) = (folds.left_out(slot / 2), folds.first_judged(slot / 2));
            for (&image, row) in images.iter().zip(rows.chunks_exact(classes)).skip(first) {
                let place = image as usize * classes;
                self.sums[place..place + classes].iter_mut().zip(row).for_each(|(sum, probability)| *sum += probability);
                let answer = (1..classes).fold(0, |top, class| if row[top] < row[class] { class } else { top });
                self.votes[place + answer] += 1;
            }
        }
    }

    /// Training images.
    pub fn count(&self) -> usize {
        self.votes.len() / self.classes
    }

    /// Classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How often an image was taken for each class.
    pub fn votes(&self, image: usize) -> &[u32] {
        &self.votes[image * self.classes..][..self.classes]
    }

    /// The probability of each class of an image: the mean of all that was said; nothing is a number where nothing was.
    pub fn probabilities(&self, image: usize) -> impl Iterator<Item = f64> + '_ {
        let answers: u32 = self.votes(image).iter().sum();
        self.sums[image * self.classes..][..self.classes].iter().map(move |&sum| f64::from(sum) / f64::from(answers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::digits;

    #[test]
    fn only_those_who_left_an_image_out_judge_it() {
        let mut dataset = digits::generate_with_counts(1, 40, 10);
        dataset.fold(2, 2, 0).unwrap();
        let folds = dataset.folds.clone().unwrap();
        let mut judgements = Judgements::new(40, 2);
        // One layer; slot s says (s + 1) / 8 of class 0 in epoch 3 and 4, and nonsense before.
        let said = |shares: [f32; 4]| {
            let rows = |slot: usize| [shares[slot], 1.0 - shares[slot]].repeat(folds.left_out(slot / 2).len());
            vec![(0..4).map(rows).collect::<Vec<_>>()]
        };
        judgements.observe(&folds, 2, 4, &said([9.0; 4]));
        judgements.observe(&folds, 3, 4, &said([0.125, 0.25, 0.375, 0.5]));
        judgements.observe(&folds, 4, 4, &said([0.125, 0.25, 0.375, 0.75]));
        for replica in 0..2 {
            for &image in &folds.left_out(replica)[folds.first_judged(replica)..] {
                let probabilities: Vec<f64> = judgements.probabilities(image as usize).collect();
                let expected = [(0.125 + 0.25) / 2.0, (0.375 * 2.0 + 0.5 + 0.75) / 4.0][replica];
                assert_eq!((probabilities[0], probabilities[1]), (expected, 1.0 - expected));
                // Of equal probabilities the first class.
                assert_eq!(judgements.votes(image as usize), [[0, 4], [2, 2]][replica]);
            }
        }
        assert_eq!(judgements.votes.iter().sum::<u32>(), 40 * 4);
        let words = judgements.to_words();
        assert_eq!(words.len(), Judgements::words(40, 2));
        assert_eq!(Judgements::from_words(40, 2, &words), Some(judgements));
        assert_eq!(Judgements::from_words(41, 2, &words), None);
    }
}
