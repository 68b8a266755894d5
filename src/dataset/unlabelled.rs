//! Training images without labels.

use super::{Dataset, Images};

impl Dataset {
    /// Training images that have labels.
    pub fn labelled_count(&self) -> usize {
        self.train.count() - self.unlabelled.len()
    }

    /// The numbers of all training images: first those with labels, then the others.
    pub fn labelled_first(&self) -> Vec<u32> {
        let all = 0..self.train.count() as u32;
        all.filter(|image| self.unlabelled.binary_search(image).is_err()).chain(self.unlabelled.iter().copied()).collect()
    }

    /// Says which training images have no label, by their ascending numbers. What stood in a label's place is forgotten.
    pub fn set_unlabelled(&mut self, unlabelled: Vec<u32>) {
        unlabelled.iter().for_each(|&image| self.train.labels[image as usize] = 0);
        self.unlabelled = unlabelled;
    }

    /// The training images that have labels.
    pub fn labelled_images(&self) -> Images {
        let labelled: Vec<usize> = self.labelled_first()[..self.labelled_count()].iter().map(|&image| image as usize).collect();
        self.train.select(&labelled)
    }
}
