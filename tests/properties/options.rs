//! Options of a run, given or not.

use super::{hold, variant};
use ffcl_gpu::Error;
use ffcl_gpu::config::{Drawn, LabelNoise, Labelled, RunOptions, TrainingConfig, Trust, TrustRate, Widths};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Every option given or not.
fn options() -> impl Strategy<Value = RunOptions> {
    let finite = || prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    let widths = prop_oneof![
        vec(any::<usize>(), 0..4).prop_map(Widths::from),
        vec(any::<usize>(), 0..4).prop_map(|hidden| Widths::around(&hidden))
    ];
    let data = (
        option::of(any::<bool>()),
        option::of(any::<u32>()),
        option::of(finite()),
        option::of(finite()),
        option::of(any::<bool>()),
        option::of(widths),
        option::of(vec(any::<usize>(), 0..4)),
    );
    let method = (
        option::of(variant()),
        option::of(variant()),
        option::of(variant()),
        option::of(variant()),
        option::of(any::<bool>()),
        option::of(variant()),
    );
    // Mostly in range.
    let numbers = (
        option::of(prop_oneof![6 => 0usize..=64, 1 => any::<usize>()]),
        option::of(prop_oneof![6 => 1e-3..=1e3, 1 => finite()]),
        option::of(prop_oneof![6 => 0.01..=100.0, 1 => finite()]),
        option::of(any::<bool>()),
        option::of(any::<u32>()),
        option::of(any::<usize>()),
        option::of(finite()),
        option::of(variant()),
    );
    let noise = prop_oneof![
        Just(LabelNoise::None),
        (0.0..=1.0, any::<u64>()).prop_map(|(share, seed)| LabelNoise::Pair(Drawn { share, seed })),
        (0.0..=1.0, any::<u64>()).prop_map(|(share, seed)| LabelNoise::Sym(Drawn { share, seed })),
        Just(LabelNoise::File("labels.txt".into())),
    ];
    let rate = prop_oneof![Just(TrustRate::Auto), finite().prop_map(TrustRate::Given)];
    let labelled = prop_oneof![
        Just(Labelled::All),
        (any::<usize>(), any::<u64>()).prop_map(|(count, seed)| Labelled::Drawn { count: count >> 1, seed }),
    ];
    let trust =
        (option::of(noise), option::of(variant::<Trust>()), option::of(rate), option::of(any::<u32>()), option::of(labelled));
    (data, method, numbers, trust).prop_map(|(data, method, numbers, trust)| {
        let (label_noise, trust, trust_rate, trust_ramp, labelled) = trust;
        let (standardize, shift, rotation, scale, shared_view, layers, hidden) = data;
        let (recipe, method, output_loss, hidden_loss, centre, guide) = method;
        let (projection, temperature, head_rate, normalize, epochs, batch_size, learning_rate, schedule) = numbers;
        RunOptions {
            standardize,
            shift,
            rotation,
            scale,
            elastic: scale,
            flip: centre,
            shared_view,
            layers,
            hidden,
            recipe,
            method,
            output_loss,
            hidden_loss,
            centre,
            guide,
            projection,
            temperature,
            head_rate,
            normalize,
            dropout: scale,
            epochs,
            batch_size,
            learning_rate,
            schedule,
            label_noise,
            trust,
            trust_rate,
            trust_ramp,
            labelled,
            pseudo_threshold: scale,
            pseudo_ramp: trust_ramp,
        }
    })
}

#[test]
fn options_survive_their_file_and_what_they_come_to_repeats_itself() {
    let accepted = std::cell::Cell::new(0);
    hold(400, options(), |options| {
        let json = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<RunOptions>(&json).unwrap(), options);
        assert_eq!(options.over(&RunOptions::default()), options);
        let config = match options.fitted_to(12, 3) {
            Ok(config) => config,
            Err(Error::Configuration(message)) => return assert!(!message.contains('\n'), "{message}"),
            Err(error) => panic!("{error}"),
        };
        accepted.set(accepted.get() + 1);
        assert_eq!(RunOptions::of(&config).fitted_to(12, 3).unwrap(), config);
        assert_eq!(options.complete(12, 3).fitted_to(12, 3).unwrap(), config);
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TrainingConfig>(&json).unwrap(), config);
        match config.check() {
            Ok(()) => {}
            Err(Error::Configuration(message)) => assert!(!message.contains('\n'), "{message}"),
            Err(error) => panic!("{error}"),
        }
    });
    // Else this would say little.
    assert!(accepted.get() > 50, "{}", accepted.get());
}
