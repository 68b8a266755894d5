//! Images that are in a data set more than once, byte for byte.

use super::Dataset;
use std::collections::{BTreeMap, BTreeSet};

/// Copies among the images of a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// What each training image is, as a number: copies have one number.
    pub contents: Vec<u64>,
    /// Training images of which there is another, by their ascending numbers,
    pub within: Vec<u32>,
    /// those of them that have a copy with another label,
    pub contradicted: Vec<u32>,
    /// and training images that are test images, too.
    pub tested: Vec<u32>,
}

impl Copies {
    /// Those of a data set.
    pub fn of(dataset: &Dataset) -> Self {
        let (contents, tested) = (dataset.train.contents(), dataset.test.contents());
        // Data without a test set is measured on its first training images.
        let stands_in = contents.starts_with(&tested);
        let tested: BTreeSet<u64> = if stands_in { BTreeSet::new() } else { tested.into_iter().collect() };
        let mut found: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        (0u32..).zip(&contents).for_each(|(image, &content)| found.entry(content).or_default().push(image));
        let mut copies = Self::default();
        for (content, images) in found {
            let label = |image: u32| dataset.train.labels[image as usize];
            if tested.contains(&content) {
                copies.tested.extend(&images);
            }
            if images.len() > 1 {
                copies.within.extend(&images);
            }
            if images.iter().any(|&image| label(image) != label(images[0])) {
                copies.contradicted.extend(&images);
            }
        }
        [&mut copies.within, &mut copies.contradicted, &mut copies.tested].into_iter().for_each(|images| images.sort_unstable());
        Self { contents, ..copies }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Images, digits};

    #[test]
    fn copies_are_found_and_so_are_their_labels() {
        let mut dataset = digits::generate_with_counts(1, 20, 10);
        let copies = Copies::of(&dataset);
        assert_eq!(copies, Copies { contents: copies.contents.clone(), ..Copies::default() });
        let size = dataset.train.pixels_per_image();
        let copy =
            |images: &mut Images, from: usize, to: usize| images.pixels.copy_within(from * size..(from + 1) * size, to * size);
        copy(&mut dataset.train, 3, 7);
        copy(&mut dataset.train, 4, 8);
        dataset.train.labels[7] = dataset.train.labels[3];
        dataset.train.labels[8] = (dataset.train.labels[4] + 1) % 10;
        let of_test = dataset.test.image(2).to_vec();
        dataset.train.pixels[size..2 * size].copy_from_slice(&of_test);
        let Copies { contents, within, contradicted, tested } = Copies::of(&dataset);
        assert_eq!((within, contradicted, tested), (vec![3, 4, 7, 8], vec![4, 8], vec![1]));
        assert_eq!((contents[3], contents.len()), (contents[7], 20));
        dataset.test = dataset.train.head(5);
        assert!(Copies::of(&dataset).tested.is_empty());
    }
}
