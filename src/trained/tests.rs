use super::*;
use crate::config::{Recipe, TrainingConfig};
use crate::cpu::backend::open;
use crate::dataset::{ImageShape, Origin, digits};
use crate::model::Network;
use crate::output::description::UNKNOWN;
use crate::train::train;
use std::ops::ControlFlow::Continue;

/// A model of two pairs after a short run, its data, and what the run said at its end.
fn trained() -> (TrainedModel, Dataset, Vec<crate::train::ReplicaReport>) {
    let dataset = digits::generate_with_counts(digits::SEED, 512, 200);
    let config = TrainingConfig { epochs: 2, replicas: 2, standardize: true, normalize: true, ..Recipe::Paper.config() };
    let job = Job { config: &config, dataset: &dataset };
    let mut backend = open(job).unwrap();
    backend.set_parameters(&config.initial_parameters().unwrap()).unwrap();
    let outcome = train(job, backend.as_mut(), &mut |_| Ok(Continue(()))).unwrap();
    let model = TrainedModel::new(outcome.parameters, ModelDescription::of(job)).unwrap();
    (model, dataset, outcome.last)
}

#[test]
fn a_model_answers_as_it_did_in_training() {
    let (model, dataset, reports) = trained();
    for report in &reports {
        let evaluation = model.clone().replica(report.replica).unwrap().evaluate(&dataset.test, &open).unwrap();
        assert_eq!(evaluation.accuracy_a, report.test_accuracy_a);
        assert_eq!(evaluation.accuracy_b, report.test_accuracy_b);
        assert_eq!(evaluation.accuracy, report.test_accuracy_ensemble);
    }
    // All pairs together: means of what each says by itself.
    let all = model.answers(&dataset.test, &open).unwrap();
    let each = [0, 1].map(|replica| model.clone().replica(replica).unwrap().answers(&dataset.test, &open).unwrap());
    for image in 0..dataset.test.count() {
        for network in [Network::A, Network::B, Network::Ensemble] {
            let [one, other] = [0, 1].map(|replica: usize| each[replica].probabilities(network, image));
            for (mean, (one, other)) in all.probabilities(network, image).iter().zip(one.iter().zip(other)) {
                assert!((mean - (one + other) / 2.0).abs() <= 1e-6);
            }
        }
    }
}

#[test]
fn folders_and_files_are_opened() {
    let (model, dataset, _) = trained();
    let folder = tempfile::tempdir().unwrap();
    let fail = |path: &Path| TrainedModel::open(path).unwrap_err().to_string();
    assert!(fail(folder.path()).contains("neither model.safetensors nor checkpoint.safetensors"));
    assert!(fail(&folder.path().join("missing")).contains("missing"));
    let answers = model.answers(&dataset.test, &open).unwrap();
    for name in ["checkpoint.safetensors", "model.safetensors"] {
        weights::save(&folder.path().join(name), model.parameters(), model.description()).unwrap();
        assert_eq!(TrainedModel::open(folder.path()).unwrap().answers(&dataset.test, &open).unwrap(), answers);
        assert_eq!(TrainedModel::open(&folder.path().join(name)).unwrap().description(), model.description());
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (model, dataset, _) = trained();
    assert!(model.clone().replica(2).unwrap_err().to_string().contains("give 0 to 1"));
    let other = ModelDescription { replicas: 1, ..model.description().clone() };
    assert!(TrainedModel::new(model.parameters().clone(), other).is_err());
    let fail = |images: &Images| model.answers(images, &open).unwrap_err().to_string();
    let wide = Images { shape: ImageShape::gray(14, 56), ..dataset.test.clone() };
    assert!(fail(&wide).contains("14×56"));
    assert!(fail(&dataset.test.head(0)).contains("no images"));
    let mut labels = dataset.test.clone();
    labels.labels[7] = 10;
    assert!(fail(&labels).contains("image 7 has the label 10"));
    // Of a foreign model's images only the size is known.
    let foreign = ModelDescription { dataset: UNKNOWN.into(), ..model.description().clone() };
    let foreign = TrainedModel::new(model.parameters().clone(), foreign).unwrap();
    assert_eq!(foreign.answers(&wide, &open).unwrap().count(), 200);
}

#[test]
fn a_description_says_where_its_data_came_from() {
    let (model, ..) = trained();
    // Files of old do not say where their data came from.
    let mut json = serde_json::to_value(model.description()).unwrap();
    json.as_object_mut().unwrap().remove("origin").unwrap();
    assert_eq!(&serde_json::from_value::<ModelDescription>(json).unwrap(), model.description());
    let folder = Origin::Folder { test_fraction: Some(0.1) };
    let json = serde_json::to_string(&folder).unwrap();
    assert_eq!((json.as_str(), serde_json::from_str(&json).ok()), (r#"{"folder":{"test-fraction":0.1}}"#, Some(folder)));
}
