//! Cross-fitting: each pair of networks leaves a share of the training images out, to judge them without having learned them.

use super::Dataset;
use crate::error::{Error, Result};
use crate::random::{Stream, philox};
use std::collections::BTreeMap;

/// Which training images each replica leaves out. The images are cut into so many folds, again for each round of as many replicas; each
/// replica of a round leaves out a fold of its own.
///
/// An image's fold goes by its content: copies of an image lie in one fold, and where it stands among the others decides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folds {
    folds: usize,
    /// For each replica the numbers of all training images: those that it learns from first, those that it judges last.
    images: Vec<Vec<u32>>,
    /// Images that each replica learns from: as many for all.
    learned: usize,
    /// Images that each judges.
    judged: Vec<usize>,
}

impl Dataset {
    /// Has each of `replicas` replicas leave out one of `folds` folds of the training images, each class in equal shares.
    pub fn fold(&mut self, folds: usize, replicas: usize, seed: u64) -> Result<()> {
        let count = self.train.count();
        if folds < 2 || folds > count || !replicas.is_multiple_of(folds) {
            return Err(Error::Configuration(format!(
                "--folds {folds} does not share {count} images among --replicas {replicas}: give 2 folds or more, at most as many as there are images, and a multiple of them as replicas"
            )));
        }
        let contents = self.train.contents();
        let rounds: Vec<Vec<usize>> =
            (0..replicas / folds).map(|round| self.deal(&contents, folds, seed, round as u64)).collect();
        let parts = |replica: usize| -> (Vec<u32>, Vec<u32>) {
            let round = &rounds[replica / folds];
            (0..count as u32).partition(|&image| round[image as usize] != replica % folds)
        };
        let parts: Vec<_> = (0..replicas).map(parts).collect();
        let learned = parts.iter().map(|(learned, _)| learned.len()).min().unwrap_or(0);
        let judged = parts.iter().map(|(_, judged)| judged.len()).collect();
        let images = parts.into_iter().map(|(learned, judged)| [learned, judged].concat()).collect();
        self.folds = Some(Folds { folds, images, learned, judged });
        Ok(())
    }

    /// Training images that a replica learns from.
    pub fn learned_count(&self) -> usize {
        self.folds.as_ref().map_or(self.train.count(), |folds| folds.learned)
    }

    /// The fold of each training image.
    fn deal(&self, contents: &[u64], folds: usize, seed: u64, round: u64) -> Vec<usize> {
        let mut copies: BTreeMap<([u32; 4], u64), Vec<usize>> = BTreeMap::new();
        for (image, &content) in contents.iter().enumerate() {
            copies.entry((philox(content ^ seed, Stream::Folds, round), content)).or_default().push(image);
        }
        let (mut all, mut of_class) = (vec![0; folds], vec![vec![0; folds]; self.classes()]);
        let mut dealt = vec![0; contents.len()];
        for images in copies.into_values() {
            // Copies may have different labels: the smallest speaks for them.
            let Some(class) = images.iter().map(|&image| usize::from(self.train.labels[image])).min() else { continue };
            let least = (0..folds).min_by_key(|&fold| (of_class[class][fold], all[fold]));
            let fold = least.unwrap_or(0);
            for image in images {
                dealt[image] = fold;
                all[fold] += 1;
                of_class[usize::from(self.train.labels[image])][fold] += 1;
            }
        }
        dealt
    }
}

impl Folds {
    /// Folds that the images were cut into.
    pub fn folds(&self) -> usize {
        self.folds
    }

    /// Replicas.
    pub fn replicas(&self) -> usize {
        self.images.len()
    }

    /// For each replica the numbers of all training images, one replica behind the other: those that it learns from first.
    pub fn learned_first(&self) -> Vec<u32> {
        self.images.concat()
    }

    /// The images behind those that a replica learns from. Not all of them are its to judge.
    pub fn left_out(&self, replica: usize) -> &[u32] {
        &self.images[replica][self.learned..]
    }

    /// Where among those the images begin that it judges.
    pub fn first_judged(&self, replica: usize) -> usize {
        self.images[replica].len() - self.learned - self.judged[replica]
    }
}

#[cfg(test)]
mod tests {
    use crate::dataset::digits;

    #[test]
    fn each_image_is_judged_once_a_round_and_copies_by_the_same_networks() {
        let mut dataset = digits::generate_with_counts(1, 500, 10);
        // The last 30 are copies of the first 30, some with another label.
        let size = dataset.train.pixels_per_image();
        let first = dataset.train.pixels[..30 * size].to_vec();
        dataset.train.pixels[470 * size..].copy_from_slice(&first);
        dataset.fold(3, 6, 7).unwrap();
        let folds = dataset.folds.clone().unwrap();
        let judged = |replica: usize| &folds.left_out(replica)[folds.first_judged(replica)..];
        for round in [0, 3] {
            let mut all: Vec<u32> = (round..round + 3).flat_map(judged).copied().collect();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..500));
        }
        for replica in 0..6 {
            let images = &folds.learned_first()[500 * replica..][..500];
            let learned = &images[..dataset.learned_count()];
            assert_eq!(&images[dataset.learned_count()..], folds.left_out(replica));
            assert!(judged(replica).iter().all(|image| !learned.contains(image)));
            (0..30).for_each(|image| assert_eq!(judged(replica).contains(&image), judged(replica).contains(&(image + 470))));
            // Each class in equal shares, but for copies.
            for class in 0..10u8 {
                let of_class =
                    |images: &[u32]| images.iter().filter(|&&image| dataset.train.labels[image as usize] == class).count();
                let (own, all) =
                    (of_class(judged(replica)), dataset.train.labels.iter().filter(|&&label| label == class).count());
                assert!((3 * own).abs_diff(all) <= 15, "{own} of {all}");
            }
        }
        assert_ne!(judged(0), judged(3));
    }

    #[test]
    fn where_an_image_stands_decides_nothing() {
        let mut dataset = digits::generate_with_counts(1, 300, 10);
        let mut turned = dataset.clone();
        turned.train = dataset.train.select(&(0..300).rev().collect::<Vec<_>>());
        let mut judged = [&mut dataset, &mut turned].map(|dataset| {
            dataset.fold(2, 2, 0).unwrap();
            let folds = dataset.folds.clone().unwrap();
            folds.left_out(0)[folds.first_judged(0)..].to_vec()
        });
        judged[1].iter_mut().for_each(|image| *image = 299 - *image);
        judged[1].sort_unstable();
        assert_eq!(judged[0], judged[1]);
    }

    #[test]
    fn folds_that_cannot_be_dealt_are_refused() {
        for (folds, replicas) in [(0, 2), (1, 2), (2, 3), (101, 101)] {
            let error = digits::generate_with_counts(1, 100, 10).fold(folds, replicas, 0).unwrap_err().to_string();
            assert!(error.contains("--folds"), "{error}");
        }
    }
}
