//! Labels that are taken away, to see what becomes of it.

use crate::config::Labelled;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::random::{Stream, philox};

impl Dataset {
    /// Takes the labels of training images away but for those of `labelled`: as many of each class as of every other, as far as it goes.
    /// Which ones depends on the draw's seed and an image's number only.
    pub fn unlabel(&mut self, labelled: Labelled) -> Result<()> {
        let Labelled::Drawn { count, seed } = labelled else { return Ok(()) };
        let fail = |message: String| Err(Error::Configuration(message));
        let (classes, most) = (self.classes(), self.labelled_count());
        if count > most {
            return fail(format!("--labelled {count} is more than the {most} training images with labels; give at most {most}"));
        }
        if count < classes {
            return fail(format!(
                "--labelled {count} leaves classes without a label, and there are {classes}; give {classes} or more"
            ));
        }
        let mut by_class = vec![Vec::new(); classes];
        for image in (0..self.train.count() as u32).filter(|image| self.unlabelled.binary_search(image).is_err()) {
            if let Some(own) = by_class.get_mut(usize::from(self.train.labels[image as usize])) {
                own.push((philox(seed, Stream::Labelled, u64::from(image)), image));
            }
        }
        by_class.iter_mut().for_each(|own| own.sort_unstable());
        // One of each class in turn.
        let rounds = by_class.iter().map(Vec::len).max().unwrap_or(0);
        let in_turn = (0..rounds).flat_map(|round| by_class.iter().filter_map(move |own| Some(own.get(round)?.1)));
        let mut kept: Vec<u32> = in_turn.take(count).collect();
        kept.sort_unstable();
        let all = 0..self.train.count() as u32;
        self.set_unlabelled(all.filter(|image| kept.binary_search(image).is_err()).collect());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::dataset::digits;

    #[test]
    fn as_many_of_each_class_keep_their_labels() {
        let clean = digits::generate_with_counts(1, 1000, 10);
        let kept = |labelled: &str| {
            let mut dataset = clean.clone();
            dataset.unlabel(labelled.parse().unwrap()).unwrap();
            assert!(
                dataset.unlabelled.is_sorted()
                    && dataset.unlabelled.iter().all(|&image| dataset.train.labels[image as usize] == 0)
            );
            let order = dataset.labelled_first();
            assert_eq!((order.len(), &order[dataset.labelled_count()..]), (1000, &dataset.unlabelled[..]));
            let images = dataset.labelled_images();
            let labels = order[..dataset.labelled_count()].iter().map(|&image| clean.train.labels[image as usize]);
            assert!(labels.eq(images.labels.iter().copied()));
            (order[..dataset.labelled_count()].to_vec(), images.labels)
        };
        for (count, least) in [(10, 1), (25, 2), (100, 10)] {
            let (images, labels) = kept(&count.to_string());
            assert_eq!(images.len(), count);
            let of_class = |class: u8| labels.iter().filter(|&&label| label == class).count();
            assert!((0..10).all(|class| (least..=least + 1).contains(&of_class(class))));
        }
        assert_eq!(kept("100"), kept("100:0"));
        assert_ne!(kept("100"), kept("100:1"));
        assert_eq!(kept("1000").0.len(), 1000);
        assert_eq!(kept("all").0.len(), 1000);
    }

    #[test]
    fn too_few_and_too_many_are_refused() {
        let mut dataset = digits::generate_with_counts(1, 100, 10);
        for (labelled, part) in [("0", "give 10 or more"), ("9", "give 10 or more"), ("101", "give at most 100")] {
            let error = dataset.unlabel(labelled.parse().unwrap()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        dataset.unlabel("50".parse().unwrap()).unwrap();
        assert!(dataset.unlabel("51".parse().unwrap()).is_err());
        assert!(dataset.hold_out(90).is_err(), "images without labels to test on");
        dataset.limit(30).unwrap();
        assert!(dataset.unlabelled.iter().all(|&image| image < 30));
    }
}
