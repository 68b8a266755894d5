//! Which rows and images are for testing, and which are drawn where fewer are asked for: by what they show, never by where they stand or
//! what they are called, and of each class its share.

use super::{Dataset, Images, Origin};
use crate::error::{Error, Result};
use crate::parallel;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};

/// Of so many images of a class that a draw should have, none is left out by chance.
const MANY: usize = 10;

/// What something shows, in 64 bits: copies have the same.
pub fn content(parts: &[&[u8]]) -> u64 {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    u64::from_le_bytes(hash.finalize().first_chunk().copied().unwrap_or_default())
}

impl Images {
    /// What each image shows, or each row holds.
    pub fn contents(&self) -> Vec<u64> {
        let numbers: Vec<usize> = (0..self.count()).collect();
        let Some(features) = &self.features else {
            return parallel::map(&numbers, |&image| content(&[self.image(image)]));
        };
        let mut contents = Vec::with_capacity(self.count());
        features.for_each_block(|_, block| {
            // Both zeros are the same number.
            let row = |row: &[f32]| row.iter().flat_map(|number| (number + 0.0).to_le_bytes()).collect::<Vec<u8>>();
            contents.extend(block.chunks_exact(self.pixels_per_image()).map(|numbers| content(&[&row(numbers)])));
        });
        contents
    }
}

/// Groups of copies of each class, in the order of their content: the numbers of their members. What has copies in several classes belongs
/// to the first.
fn groups(contents: &[u64], labels: &[u8], is_drawn_from: impl Fn(usize) -> bool) -> BTreeMap<u8, Vec<Vec<usize>>> {
    let mut by_content: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    (0..labels.len())
        .filter(|&image| is_drawn_from(image))
        .for_each(|image| by_content.entry(contents[image]).or_default().push(image));
    let mut by_class: BTreeMap<u8, Vec<Vec<usize>>> = BTreeMap::new();
    for group in by_content.into_values() {
        let class = group.iter().map(|&image| labels[image]).min().unwrap_or_default();
        by_class.entry(class).or_default().push(group);
    }
    by_class
}

/// Whole groups, `most` images together or a little fewer; where that would be none, one group. One is always left.
fn take(groups: &[Vec<usize>], most: usize) -> Vec<usize> {
    let mut taken: Vec<usize> = Vec::new();
    let mut left = groups.len();
    for group in groups {
        if left > 1 && taken.len() + group.len() <= most {
            taken.extend(group);
            left -= 1;
        }
    }
    if taken.is_empty() && most > 0 && groups.len() > 1 {
        taken.extend(groups.iter().min_by_key(|group| group.len()).into_iter().flatten());
    }
    taken
}

/// Which of all images are held back for testing: that share of each class, copies together. Those without labels never are.
pub fn held_back(contents: &[u64], labels: &[u8], unlabelled: &[u32], fraction: f64) -> Vec<bool> {
    let mut is_test = vec![false; labels.len()];
    // A copy without a label of an image with one stays with it, too: on the side of what is learned.
    let without: HashSet<u64> = unlabelled.iter().map(|&image| contents[image as usize]).collect();
    for groups in groups(contents, labels, |image| !without.contains(&contents[image])).values() {
        let all: usize = groups.iter().map(Vec::len).sum();
        let most = ((fraction * all as f64).round() as usize).max(1);
        take(groups, most).into_iter().for_each(|image| is_test[image] = true);
    }
    is_test
}

/// How many of `count` belong to each class, by its size: as near to its share as whole numbers allow, and one at least, as far as `count`
/// goes.
fn quotas(sizes: &[usize], count: usize) -> Vec<usize> {
    let all: usize = sizes.iter().sum();
    let count = count.min(all);
    let exact = |class: usize| sizes[class] as f64 * count as f64 / all.max(1) as f64;
    let least = usize::from(count >= sizes.iter().filter(|&&size| size > 0).count());
    let mut quotas: Vec<usize> = (0..sizes.len()).map(|class| (exact(class) as usize).max(least.min(sizes[class]))).collect();
    // The class that is farthest from its share; of several the first.
    let farthest = |quotas: &[usize], may_change: &dyn Fn(usize) -> bool, sign: f64| {
        let gap = |class: usize| sign * (exact(class) - quotas[class] as f64);
        (0..quotas.len())
            .filter(|&class| may_change(class))
            .reduce(|best, class| if gap(class) > gap(best) { class } else { best })
    };
    while quotas.iter().sum::<usize>() > count {
        let Some(class) = farthest(&quotas, &|class| quotas[class] > least, -1.0) else { break };
        quotas[class] -= 1;
    }
    while quotas.iter().sum::<usize>() < count {
        let Some(class) = farthest(&quotas, &|class| quotas[class] < sizes[class], 1.0) else { break };
        quotas[class] += 1;
    }
    quotas
}

impl Dataset {
    /// Whether draws are made by content, of each class its share. Known sets are mixed by who published them, and their first images are
    /// known far and wide: they are drawn in their order, and so is what was read before there was another rule.
    fn is_drawn_by_content(&self) -> bool {
        self.input.is_some()
    }

    /// Takes `count` of the training images; more than there are is no error, zero is.
    pub fn limit(&mut self, count: usize) -> Result<()> {
        if self.is_drawn_by_content() && (1..self.train.count()).contains(&count) {
            let kept = self.first_of_each_class(count);
            self.keep_training(&kept);
            return Ok(());
        }
        self.check_mixed(&self.train.labels[..count.min(self.train.count())])?;
        self.train.truncate(count)?;
        self.unlabelled.retain(|&image| (image as usize) < count);
        Ok(())
    }

    /// The same as a copy.
    pub fn limited(&self, count: usize) -> Result<Self> {
        let kept: Vec<usize> = match self.is_drawn_by_content() && (1..self.train.count()).contains(&count) {
            true => self.first_of_each_class(count),
            false => {
                self.check_mixed(&self.train.labels[..count.min(self.train.count())])?;
                (0..count.min(self.train.count())).collect()
            }
        };
        let (train, unlabelled) = self.training(&kept);
        let mut limited = Self::of(self.name.clone(), train, self.test.clone(), self.class_names.clone());
        (limited.unlabelled, limited.held_out, limited.origin) = (unlabelled, self.held_out, self.origin);
        (limited.statistics, limited.input, limited.taken) = (self.statistics.clone(), self.input.clone(), self.taken.clone());
        Ok(limited)
    }

    /// Refuses a draw from a known set, in its order, that leaves a class out of which it would have many: the set is no longer mixed.
    fn check_mixed(&self, drawn: &[u8]) -> Result<()> {
        if self.origin != Origin::Known || !self.unlabelled.is_empty() {
            return Ok(());
        }
        let count = |labels: &[u8], class: usize| labels.iter().filter(|&&label| usize::from(label) == class).count();
        let all = self.train.count().max(1);
        let is_lost = |&class: &usize| count(&self.train.labels, class) * drawn.len() >= MANY * all && count(drawn, class) == 0;
        match (0..self.classes()).find(is_lost) {
            None => Ok(()),
            Some(class) => Err(Error::Dataset(format!(
                "{} is sorted: none of the {} images that are drawn in its order is of class {}; mix its images",
                self.name,
                drawn.len(),
                self.class_names[class]
            ))),
        }
    }

    /// The first images of each class, as many as belong to it of `count`; those without a label are a class of their own. Ascending.
    fn first_of_each_class(&self, count: usize) -> Vec<usize> {
        let without = self.classes();
        let mut by_class = vec![Vec::new(); without + 1];
        for image in 0..self.train.count() {
            let is_without = self.unlabelled.binary_search(&(image as u32)).is_ok();
            by_class[if is_without { without } else { usize::from(self.train.labels[image]) }].push(image);
        }
        let quotas = quotas(&by_class.iter().map(Vec::len).collect::<Vec<_>>(), count);
        let mut kept: Vec<usize> = by_class.iter().zip(quotas).flat_map(|(own, quota)| &own[..quota]).copied().collect();
        kept.sort_unstable();
        kept
    }

    /// Training images of these ascending numbers, and the places of those among them that have no label.
    fn training(&self, kept: &[usize]) -> (Images, Vec<u32>) {
        let places = (0..).zip(kept).filter(|&(_, &image)| self.unlabelled.binary_search(&(image as u32)).is_ok());
        (self.train.select(kept), places.map(|(place, _)| place).collect())
    }

    fn keep_training(&mut self, kept: &[usize]) {
        (self.train, self.unlabelled) = self.training(kept);
    }

    /// Makes `count` training images the test set: to choose by, without having seen the real one. They are the last ones of a set that is
    /// drawn in its order; else they are drawn by content, of each class its share, and copies stay together, so that there may be a few
    /// less.
    pub fn hold_out(&mut self, count: usize) -> Result<()> {
        let kept = self.train.count().checked_sub(count).filter(|&kept| kept > 0 && count > 0).ok_or_else(|| {
            let most = self.train.count() - 1;
            Error::Configuration(format!("--hold-out {count} must leave images to train and to test on; give 1 to {most}"))
        })?;
        let is_test = if self.is_drawn_by_content() {
            self.drawn_out(count)?
        } else {
            self.check_mixed(&self.train.labels[kept..])?;
            (0..kept + count).map(|image| image >= kept).collect()
        };
        if self.unlabelled.iter().any(|&image| is_test[image as usize]) {
            return Err(Error::Configuration(format!(
                "--hold-out {count} would measure on images without labels; hold back others, or give a test set"
            )));
        }
        let part = |test: bool| (0..kept + count).filter(|&image| is_test[image] == test).collect::<Vec<_>>();
        self.test = self.train.select(&part(true));
        self.keep_training(&part(false));
        self.held_out = Some(count);
        Ok(())
    }

    fn drawn_out(&self, count: usize) -> Result<Vec<bool>> {
        let contents = self.train.contents();
        let without: HashSet<u64> = self.unlabelled.iter().map(|&image| contents[image as usize]).collect();
        let groups = groups(&contents, &self.train.labels, |image| !without.contains(&contents[image]));
        let sizes: Vec<usize> = groups.values().map(|groups| groups.iter().map(Vec::len).sum()).collect();
        let quotas = quotas(&sizes, count);
        let mut is_test = vec![false; self.train.count()];
        let taken = groups.values().zip(quotas).flat_map(|(groups, quota)| take(groups, quota));
        taken.for_each(|image| is_test[image] = true);
        if is_test.contains(&true) {
            return Ok(is_test);
        }
        Err(Error::Configuration(format!(
            "--hold-out {count} finds no image that can be held back; give more images of each class"
        )))
    }

    /// Test images that are also among those to learn from.
    pub fn copies(&self) -> usize {
        let learned: HashSet<u64> = self.train.contents().into_iter().collect();
        self.test.contents().iter().filter(|content| learned.contains(content)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ImageShape, Input, numbered};
    use super::*;

    fn images(pixels: &[u8], labels: &[u8]) -> Images {
        Images { pixels: pixels.to_vec(), labels: labels.to_vec(), shape: ImageShape::gray(1, 1), features: None }
    }

    /// Two classes of 60 and 30 images, sorted, each image twice.
    fn sorted() -> Dataset {
        let pixels: Vec<u8> = (0..90).map(|image| image / 2).collect();
        let labels: Vec<u8> = (0..90).map(|image| u8::from(image >= 60)).collect();
        let train = images(&pixels, &labels);
        Dataset { input: Some(Input::default()), ..Dataset::of("own", train.clone(), train, numbered(2)) }
    }

    #[test]
    fn copies_stay_together_and_classes_keep_their_shares_wherever_rows_stand() {
        let data = sorted();
        let test_set = |data: &Images| {
            let is_test = held_back(&data.contents(), &data.labels, &[], 0.2);
            let mut pixels: Vec<(u8, u8)> =
                (0..data.count()).filter(|&row| is_test[row]).map(|row| (data.labels[row], data.pixels[row])).collect();
            pixels.sort_unstable();
            pixels
        };
        let test = test_set(&data.train);
        assert_eq!((test.len(), test.iter().filter(|(label, _)| *label == 1).count()), (18, 6));
        assert!(test.chunks(2).all(|pair| pair[0] == pair[1]));
        let reversed: Vec<usize> = (0..90).rev().collect();
        assert_eq!(test_set(&data.train.select(&reversed)), test);
        // Without a row few others change sides.
        let fewer = test_set(&data.train.select(&(1..90).collect::<Vec<_>>()));
        assert!(fewer.iter().filter(|row| test.contains(row)).count() >= 16, "{fewer:?}");
    }

    #[test]
    fn small_classes_and_copies_of_one_image_leave_something_to_learn() {
        // A class of one image, one of two, and one of copies.
        let contents = [1, 2, 3, 4, 4, 4];
        assert_eq!(held_back(&contents, &[0, 1, 1, 2, 2, 2], &[], 0.2).iter().filter(|&&test| test).count(), 1);
        // A copy without a label keeps its image to be learned from.
        assert_eq!(held_back(&[7, 7, 8], &[0, 0, 0], &[1], 0.9), [false, false, false]);
    }

    #[test]
    fn draws_are_of_each_class_its_share() {
        let mut held = sorted();
        held.hold_out(30).unwrap();
        let ones = |images: &Images| images.labels.iter().filter(|&&label| label == 1).count();
        assert_eq!((held.test.count(), ones(&held.test), held.train.count(), ones(&held.train)), (30, 10, 60, 20));
        assert_eq!(held.copies(), 0);
        let limited = sorted().limited(30).unwrap();
        assert_eq!((limited.train.count(), ones(&limited.train)), (30, 10));
        let mut same = sorted();
        same.limit(30).unwrap();
        assert!(same.train == limited.train);
        assert_eq!(sorted().copies(), 90);
        // A known set is drawn in its order.
        let known = || Dataset { input: None, ..sorted() };
        assert_eq!(ones(&known().limited(70).unwrap().train), 10);
        for refused in [known().limit(30), known().hold_out(30), known().limited(30).map(|_| ())] {
            assert!(refused.unwrap_err().to_string().contains("own is sorted"));
        }
        // Files that were read before there was another rule are drawn in their order, whatever it is.
        let mut file = Dataset { origin: Origin::File { test_fraction: None }, ..known() };
        file.limit(30).unwrap();
        assert_eq!(ones(&file.train), 0);
    }

    #[test]
    fn quotas_add_up_and_leave_no_class_out() {
        assert_eq!(quotas(&[60, 30], 30), [20, 10]);
        assert_eq!(quotas(&[997, 2, 1], 10), [8, 1, 1]);
        assert_eq!(quotas(&[5, 0, 5], 3), [2, 0, 1]);
        assert_eq!(quotas(&[5, 5, 5], 2), [1, 1, 0]);
        assert_eq!(quotas(&[3, 4], 100), [3, 4]);
    }
}
