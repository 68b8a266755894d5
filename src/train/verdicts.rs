//! Which labels are wrong, by what networks say that have not learned them.
//!
//! A label is the true class of its image, or with some chance another. The networks give the true class a probability; how far it can be
//! relied on is a temperature, and how labels go wrong is a chance for each class to be called another. Both are found as what makes the labels
//! as they are most likely. That is honest, since no label was known to those who judge it: probabilities that are sure and mistaken become
//! unsure at a higher temperature, and only labels that remain improbable call for another explanation than the networks' ignorance. From
//! there follows how many labels are wrong, and for each how likely it is.

use super::Judgements;

/// Temperatures that are tried: below 1 networks are too modest, above it too sure. First powers of the first number, from the one exponent to
/// the other; then of the second number, beside the best of those.
const TEMPERATURES: [f64; 2] = [1.2, 1.05];
const EXPONENTS: [std::ops::RangeInclusive<i32>; 2] = [-8..=6, -3..=3];
/// Rounds of expectation and maximisation.
const ROUNDS: usize = 60;
/// Images that are taken for granted of each class: they call others as labels go wrong in all classes.
const GRANTED: f64 = 5.0;
/// Explanations whose likelihood is less than that of the best by no more nats than this are as good.
const AS_GOOD: f64 = 2.0;
/// Of those that are nearer still the one is taken that relies on the networks most: of few images likelihoods say little, and networks
/// that learned from wrong labels, too, seem as unsure as these are many.
const NEAREST: f64 = 1.0;
/// The deviation of estimates on data with known wrong labels, as a share (docs/experiments/finding-wrong-labels.md).
const DEVIATION: f64 = 0.1;
/// From this probability on a label is called wrong.
const SUSPECT: f64 = 0.5;

/// Losses are counted in so many bins, so many to a nat: beyond the last one nothing is more doubtful.
const BINS: usize = 2048;
const BINS_PER_NAT: f64 = 64.0;
/// A class is known where at most this share of its images is as doubtful as half of the other images would be under its label.
const UNKNOWN: f64 = 0.25;
/// Classes of fewer images are known to nobody.
const FEWEST: u32 = 4;

/// The verdict on a training image and its label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// The image's place among the training images, from 0.
    pub index: usize,
    /// The label that it has.
    pub label: u8,
    /// Of a suspect the most likely other class; else the label.
    pub proposed: u8,
    /// How likely the label is wrong,
    pub wrong: f64,
    /// as the logarithm of the odds: above 0 it is rather wrong than right.
    pub score: f64,
    /// Share of the answers that were the proposed class.
    pub agreement: f64,
    /// Answers.
    pub judges: u32,
    /// Whether the networks know enough of the label's class to say.
    pub is_known: bool,
}

impl Verdict {
    /// Whether the label is rather wrong than right.
    pub fn is_suspect(&self) -> bool {
        self.is_known && self.wrong >= SUSPECT
    }
}

/// How many labels are wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WrongCount {
    /// The estimate,
    pub about: f64,
    /// and between which numbers it lies.
    pub low: f64,
    /// The larger one.
    pub high: f64,
}

/// The verdicts on all training images.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdicts {
    /// The most doubtful first; of equal scores the earlier image.
    pub ranked: Vec<Verdict>,
    /// How many labels are wrong; none where the networks know too little of the data to say.
    pub wrong: Option<WrongCount>,
    /// Classes of which they know too little: their labels are not judged.
    pub unknown: Vec<u8>,
}

impl Verdicts {
    /// Of images with these labels.
    pub fn new(judgements: &Judgements, labels: &[u8]) -> Self {
        let (unknown, is_known) = unknown(judgements, labels);
        let (likeliest, alike) = Noise::alike(judgements, labels);
        let directed = likeliest.directed(labels);
        let counts = [alike.least, alike.most, directed.count(labels)];
        let noise = alike.or(directed);
        let (about, _) = noise.count(labels);
        let low = counts.iter().map(|(count, deviation)| count - 2.0 * deviation).fold(about, f64::min).max(0.0);
        let high = counts.iter().map(|(count, deviation)| count + 2.0 * deviation).fold(about, f64::max).min(labels.len() as f64);
        let verdict = |(index, &label): (usize, &u8)| {
            let votes = judgements.votes(index);
            let judges = votes.iter().sum::<u32>();
            let (right, others) = noise.parts(index, label);
            let (other, _) = noise.likeliest_other(index, label);
            let wrong = others / (right + others);
            let proposed = if wrong >= SUSPECT { other } else { label };
            let agreement = f64::from(votes[usize::from(proposed)]) / f64::from(judges.max(1));
            let (score, is_known) = (others.ln() - right.ln(), is_known && judges > 0 && !unknown.contains(&label));
            Verdict { index, label, proposed, wrong, score, agreement, judges, is_known }
        };
        let mut ranked: Vec<Verdict> = labels.iter().enumerate().map(verdict).collect();
        ranked.sort_by(|one, other| other.score.total_cmp(&one.score));
        Self { ranked, wrong: is_known.then_some(WrongCount { about, low, high }), unknown }
    }

    /// Those whose label is rather wrong than right, the most doubtful first.
    pub fn suspects(&self) -> impl Iterator<Item = &Verdict> {
        self.ranked.iter().filter(|verdict| verdict.is_suspect())
    }

    /// How many of these are expected to be wrong.
    pub fn expected(&self) -> f64 {
        // An empty sum is −0.
        self.suspects().map(|verdict| verdict.wrong).sum::<f64>() + 0.0
    }
}

/// How labels go wrong, and what networks know.
#[derive(Clone, Debug)]
struct Noise {
    classes: usize,
    /// `[images, classes]`: what the networks know of the true class, at the best temperature.
    known: Vec<f32>,
    /// `[true class, label]`: how likely the one is called the other.
    chances: Vec<f64>,
    /// The logarithm of how likely all labels are as they are.
    likelihood: f64,
    /// How many labels are wrong by the explanation, of those that are as good, that needs the fewest; and its deviation.
    least: (f64, f64),
    /// The same of the one that needs the most.
    most: (f64, f64),
}

impl Noise {
    /// All classes alike: the likeliest, and of those that are nearly so the one that relies on the networks most.
    fn alike(judgements: &Judgements, labels: &[u8]) -> (Self, Self) {
        let classes = judgements.classes();
        let others = classes.saturating_sub(1).max(1) as f64;
        let at = |temperature: f64| {
            let known = at_temperature(judgements, temperature);
            let own: Vec<f64> =
                labels.iter().zip(known.chunks_exact(classes)).map(|(&label, row)| row[usize::from(label)].into()).collect();
            let parts = |share: f64| own.iter().map(move |own| ((1.0 - share) * own, share * (1.0 - own) / others));
            let mut share = 0.05;
            for _ in 0..ROUNDS {
                share = parts(share).map(|(right, wrong)| wrong / (right + wrong)).sum::<f64>() / own.len().max(1) as f64;
            }
            let likelihood = parts(share).map(|(right, wrong)| (right + wrong).ln()).sum();
            let chance = |place: usize| if place.is_multiple_of(classes + 1) { 1.0 - share } else { share / others };
            let chances = (0..classes * classes).map(chance).collect();
            let noise = Self { classes, known, chances, likelihood, least: (0.0, 0.0), most: (0.0, 0.0) };
            let count = noise.count(labels);
            (temperature, count, noise)
        };
        let (mut middle, _, mut best) = at(1.0);
        let mut tried = Vec::new();
        for (base, exponents) in TEMPERATURES.into_iter().zip(EXPONENTS) {
            let mut next = middle;
            for exponent in exponents {
                let (temperature, count, noise) = at(middle * base.powi(exponent));
                tried.push((noise.likelihood, temperature, count));
                if noise.likelihood > best.likelihood {
                    (next, best) = (temperature, noise);
                }
            }
            middle = next;
        }
        let within = |nats: f64| tried.iter().filter(move |&&(likelihood, ..)| likelihood >= best.likelihood - nats);
        let as_good = within(AS_GOOD).map(|&(.., count)| count);
        let sharpest = within(NEAREST).map(|&(_, temperature, _)| temperature).fold(middle, f64::min);
        let (_, own, mut sharp) = at(sharpest);
        sharp.least = as_good.clone().fold(own, |least, count| if count.0 < least.0 { count } else { least });
        sharp.most = as_good.fold(own, |most, count| if count.0 > most.0 { count } else { most });
        (best, sharp)
    }

    /// The same knowledge, where each class goes wrong in its own way.
    fn directed(&self, labels: &[u8]) -> Self {
        let classes = self.classes;
        let mut noise = self.clone();
        for _ in 0..ROUNDS {
            let mut counts = vec![0.0; classes * classes];
            for (index, &label) in labels.iter().enumerate() {
                let all: f64 = (0..classes).map(|class| noise.part(index, class, label)).sum();
                for class in 0..classes {
                    counts[class * classes + usize::from(label)] += noise.part(index, class, label) / all;
                }
            }
            let right: f64 = counts.iter().step_by(classes + 1).sum();
            let share = (1.0 - right / labels.len().max(1) as f64).max(f64::MIN_POSITIVE);
            for (class, row) in counts.chunks_exact(classes).enumerate() {
                let all: f64 = row.iter().sum();
                for (label, count) in row.iter().enumerate() {
                    let granted = if label == class { 1.0 - share } else { share / (classes - 1) as f64 };
                    noise.chances[class * classes + label] = (count + GRANTED * granted) / (all + GRANTED);
                }
            }
        }
        noise.likelihood = labels.iter().enumerate().map(|(index, &label)| noise.all(index, label).ln()).sum();
        noise
    }

    /// The other, where it explains the labels better than its many numbers would by chance.
    fn or(self, other: Self) -> Self {
        // Twice the gain of numbers that are not needed has a χ² distribution: half its mean and two of its deviations.
        let spare = (self.classes * self.classes.saturating_sub(1)).saturating_sub(1) as f64 / 2.0;
        if other.likelihood - self.likelihood > spare + 2.0 * spare.sqrt() { other } else { self }
    }

    /// How likely an image is of a class and called by its label.
    fn part(&self, index: usize, class: usize, label: u8) -> f64 {
        f64::from(self.known[index * self.classes + class]) * self.chances[class * self.classes + usize::from(label)]
    }

    fn all(&self, index: usize, label: u8) -> f64 {
        (0..self.classes).map(|class| self.part(index, class, label)).sum()
    }

    /// How likely a label is there and right, and how likely there and wrong.
    fn parts(&self, index: usize, label: u8) -> (f64, f64) {
        let others = (0..self.classes).filter(|&class| class != usize::from(label));
        let wrong = others.map(|class| self.part(index, class, label)).sum::<f64>();
        (self.part(index, label.into(), label).max(f64::MIN_POSITIVE), wrong.max(f64::MIN_POSITIVE))
    }

    /// The most likely class beside the label.
    fn likeliest_other(&self, index: usize, label: u8) -> (u8, f64) {
        let others = (0..self.classes).filter(|&class| class != usize::from(label));
        others.fold((label, 0.0), |best, class| {
            let part = self.part(index, class, label);
            if part > best.1 { (class as u8, part) } else { best }
        })
    }

    /// How many labels are wrong, and the deviation of that.
    fn count(&self, labels: &[u8]) -> (f64, f64) {
        let (mut count, mut variance) = (0.0, 0.0);
        for (index, &label) in labels.iter().enumerate() {
            let (right, others) = self.parts(index, label);
            let wrong = others / (right + others);
            count += wrong;
            variance += wrong * (1.0 - wrong);
        }
        (count, variance.sqrt() + DEVIATION * count)
    }
}

/// The probabilities of all images at a temperature: 1 leaves them as they are.
fn at_temperature(judgements: &Judgements, temperature: f64) -> Vec<f32> {
    let mut known = Vec::with_capacity(judgements.count() * judgements.classes());
    for image in 0..judgements.count() {
        let first = known.len();
        known.extend(judgements.probabilities(image).map(|probability| ((-loss(probability)) / temperature).exp() as f32));
        let sum: f32 = known[first..].iter().sum();
        known[first..].iter_mut().for_each(|probability| *probability /= sum);
    }
    known
}

/// The loss at a class of this probability; what was never said is the least that can be.
fn loss(probability: f64) -> f64 {
    // Probabilities that f32 rounds to zero count as much as a few that it does not, so that no temperature takes them out of its range.
    -probability.max(1e-12).ln()
}

/// Classes of which the networks know too little, and whether they know enough of the data as a whole.
///
/// They would have said the same of an image under any label: how doubtful others are under a class's label is how doubtful its own are to
/// networks that know nothing of it.
fn unknown(judgements: &Judgements, labels: &[u8]) -> (Vec<u8>, bool) {
    let empty = vec![vec![0u32; BINS]; judgements.classes()];
    let (mut own, mut other) = (empty.clone(), empty);
    for (index, &label) in labels.iter().enumerate() {
        for (class, probability) in judgements.probabilities(index).enumerate() {
            let counts = if class == usize::from(label) { &mut own } else { &mut other };
            // The most doubtful have the first bin.
            counts[class][BINS - 1 - ((loss(probability) * BINS_PER_NAT) as usize).min(BINS - 1)] += 1;
        }
    }
    let is_unknown = |own: &[u32], other: &[u32]| {
        let (count, others): (u32, u32) = (own.iter().sum(), other.iter().sum());
        let (mut before, mut doubtful) = (0, 0);
        for (own, other) in own.iter().zip(other) {
            doubtful += own;
            before += other;
            if 2 * before >= others {
                break;
            }
        }
        count > 0 && (count < FEWEST || f64::from(doubtful) > UNKNOWN * f64::from(count))
    };
    let classes = (0u8..).zip(own.iter().zip(&other));
    let unknown: Vec<u8> = classes.filter(|(_, (own, other))| is_unknown(own, other)).map(|(class, _)| class).collect();
    let not_judged = labels.iter().filter(|label| unknown.contains(label)).count();
    (unknown, 2 * not_judged < labels.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Generator, Stream, philox};

    /// Judgements of images of which the networks know the class with a probability that is right: 0.9 on the average. They sharpen it by
    /// `sharpness`. Of the labels, which `wrong` makes from classes, a share is wrong.
    fn judged(
        count: usize,
        classes: u32,
        share: f64,
        sharpness: f64,
        wrong: impl Fn(u32, u32) -> u32,
    ) -> (Judgements, Vec<u8>, usize) {
        let mut words = Vec::new();
        let (mut labels, mut planted) = (Vec::new(), 0);
        let mut generator = Generator::new(1, Stream::Check, 0);
        for image in 0..count as u64 {
            let mut odds: Vec<f64> = (0..classes).map(|_| f64::from(generator.normal())).collect();
            let seems = generator.below(classes);
            odds[seems as usize] += 5.0;
            let sum: f64 = odds.iter().map(|odds| odds.exp()).sum();
            // The class is drawn by the probabilities: so they are right.
            let mut left = f64::from(generator.uniform(0.0, 1.0));
            let class = (0..classes).find(|&class| {
                left -= odds[class as usize].exp() / sum;
                left <= 0.0
            });
            let class = class.unwrap_or(classes - 1);
            let [chance, other, ..] = philox(2, Stream::Check, image);
            let is_wrong = f64::from(chance) < share * 2f64.powi(32);
            planted += usize::from(is_wrong);
            labels.push(if is_wrong { wrong(class, other) as u8 } else { class as u8 });
            let sharp: f64 = odds.iter().map(|odds| (sharpness * odds).exp()).sum();
            words.extend(odds.iter().map(|odds| ((sharpness * odds).exp() / sharp) as f32).map(f32::to_bits));
        }
        words.extend((0..count).flat_map(|_| (0..classes).map(|class| u32::from(class == 0))));
        (Judgements::from_words(count, classes as usize, &words).unwrap(), labels, planted)
    }

    #[test]
    fn the_share_of_wrong_labels_is_found_whether_networks_are_too_sure_or_too_modest() {
        for (share, sharpness) in [(0.0, 1.0), (0.05, 1.0), (0.05, 2.0), (0.05, 0.6), (0.2, 1.0), (0.3, 1.5)] {
            let (judgements, labels, planted) = judged(4000, 10, share, sharpness, |class, other| (class + 1 + other % 9) % 10);
            let verdicts = Verdicts::new(&judgements, &labels);
            let wrong = verdicts.wrong.unwrap();
            // A tenth, and what four deviations of a count of 4000 hard images may be.
            let apart = (wrong.about - planted as f64).abs();
            assert!(apart < 0.1 * planted as f64 + 40.0, "{share} at {sharpness}: {planted} are wrong, {wrong:?}");
            assert!(wrong.low <= planted as f64 && planted as f64 <= wrong.high, "{planted}: {wrong:?}");
            assert!(verdicts.unknown.is_empty() && verdicts.ranked.is_sorted_by(|one, other| one.score >= other.score));
            let suspects: Vec<&Verdict> = verdicts.suspects().collect();
            assert!(suspects.iter().all(|verdict| verdict.score >= 0.0 && verdict.proposed != verdict.label));
            assert!(verdicts.expected() <= suspects.len() as f64 && verdicts.expected() >= 0.5 * suspects.len() as f64);
        }
    }

    #[test]
    fn labels_that_go_to_the_next_class_are_found_by_that() {
        let (judgements, labels, planted) = judged(4000, 10, 0.1, 1.0, |class, _| (class + 1) % 10);
        let (likeliest, alike) = Noise::alike(&judgements, &labels);
        let directed = likeliest.directed(&labels);
        assert!(directed.likelihood > alike.likelihood + 100.0);
        assert!(directed.chances[1] > 0.08 && directed.chances[2] < 0.01, "{:?}", &directed.chances[..10]);
        let wrong = Verdicts::new(&judgements, &labels).wrong.unwrap();
        assert!((wrong.about - planted as f64).abs() < 40.0, "{planted} are wrong, {wrong:?}");
        // Where they go anywhere, it is not taken.
        let (judgements, labels, _) = judged(4000, 10, 0.1, 1.0, |class, other| (class + 1 + other % 9) % 10);
        let (likeliest, alike) = Noise::alike(&judgements, &labels);
        let (directed, share) = (likeliest.directed(&labels), alike.chances[1]);
        assert_eq!(alike.or(directed).chances[1], share);
    }

    #[test]
    fn what_nobody_knows_is_not_judged() {
        // Labels by chance.
        let (judgements, labels, _) = judged(1000, 3, 1.0, 1.0, |_, other| other % 3);
        let verdicts = Verdicts::new(&judgements, &labels);
        assert_eq!((verdicts.wrong, verdicts.unknown.len(), verdicts.suspects().count()), (None, 3, 0));
        // A class of three images beside two that are known.
        let (judgements, mut labels, _) = judged(1000, 3, 0.0, 1.0, |class, _| class);
        let of_third: Vec<usize> = (0..1000).filter(|&image| labels[image] == 2).skip(3).collect();
        let mut image = 0;
        labels.retain(|_| {
            image += 1;
            !of_third.contains(&(image - 1))
        });
        let words = judgements.to_words();
        let kept = words.chunks_exact(3).enumerate().filter(|(row, _)| !of_third.contains(&(row % 1000)));
        let words: Vec<u32> = kept.flat_map(|(_, words)| words).copied().collect();
        let judgements = Judgements::from_words(labels.len(), 3, &words).unwrap();
        let verdicts = Verdicts::new(&judgements, &labels);
        assert_eq!(verdicts.unknown, [2]);
        assert!(verdicts.wrong.is_some() && verdicts.suspects().all(|verdict| verdict.label != 2));
    }
}
