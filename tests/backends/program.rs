//! The program on an adapter, as a user calls it.

use crate::support::{Idx, join, run, run_with, text};
use safetensors::SafeTensors;
use std::fs;
use tempfile::TempDir;

tests! {
    gpu: both_devices_learn_the_same, a_replica_is_the_run_with_its_own_seed, an_epoch_is_followed_and_drawn,
        tiles_are_timed_once_and_change_nothing, bench_measures_the_adapter_and_its_ceilings;
}

fn both_devices_learn_the_same() {
    let train = |device| {
        run(&["train", "--device", device, "--limit-train", "128", "--epochs", "2", "--replicas", "2", "--json"])
            .succeeded()
            .json_lines()
    };
    let (gpu, cpu) = (train("gpu"), train("cpu"));
    assert_eq!((gpu.len(), cpu.len()), (4, 4));
    for (gpu, cpu) in gpu.iter().zip(&cpu) {
        assert_eq!((&gpu["epoch"], &gpu["replica"]), (&cpu["epoch"], &cpu["replica"]));
        let losses = |line: &serde_json::Value| -> Vec<f64> {
            line["layer_losses"].as_array().unwrap().iter().map(|loss| loss.as_f64().unwrap()).collect()
        };
        let (gpu_losses, cpu_losses) = (losses(gpu), losses(cpu));
        assert_eq!((gpu_losses.len(), cpu_losses.len()), (3, 3));
        for (one, other) in gpu_losses.iter().zip(&cpu_losses) {
            // How near devices come is what `verify` derives; this is about the wiring, where a wrong seed, order or option moves
            // a loss by percents, and a few steps of rounding by less than a ten-thousandth.
            assert!((one - other).abs() <= 1e-4 * other.abs(), "{gpu}\n{cpu}");
        }
        for key in ["train_accuracy", "test_accuracy_a", "test_accuracy_b", "test_accuracy_ensemble"] {
            // Up to one image in a hundred may stand on the border between two classes, where rounding decides.
            assert!((gpu[key].as_f64().unwrap() - cpu[key].as_f64().unwrap()).abs() <= 0.01, "{key}\n{gpu}\n{cpu}");
        }
    }
}

fn a_replica_is_the_run_with_its_own_seed() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    let train = |replicas: &str, seed: &str| {
        let out = folder.path().join(format!("{replicas} from {seed}"));
        let data = ["--dataset", "mnist", "--data-dir", text(folder.path()), "--epochs", "2", "--quiet"];
        run(&join(&[&["train", "--device", "gpu", "--replicas", replicas, "--seed", seed, "--out", text(&out)], &data]))
            .succeeded();
        fs::read(out.join("model.safetensors")).unwrap()
    };
    let pair = train("2", "5");
    let pair = SafeTensors::deserialize(&pair).unwrap();
    // Weights and biases of three layers, and two projections, of each model; and what the model is.
    assert_eq!(pair.len(), 33);
    for (replica, seed) in ["5", "6"].into_iter().enumerate() {
        let single = train("1", seed);
        let single = SafeTensors::deserialize(&single).unwrap();
        assert_eq!(single.len(), 17);
        for (name, tensor) in single.tensors().into_iter().filter(|(name, _)| name != "ffcl_gpu.description") {
            let other = pair.tensor(&name.replacen("r0.", &format!("r{replica}."), 1)).unwrap();
            assert!((tensor.shape(), tensor.data()) == (other.shape(), other.data()), "{name} of seed {seed} differs");
        }
    }
}

fn bench_measures_the_adapter_and_its_ceilings() {
    let ran = run(&["bench", "--device", "gpu", "--tune", "off", "--recipe", "contrastive", "--regimes", "small", "--json"]);
    let lines = ran.succeeded().json_lines();
    for ceiling in ["matmul_gigaflops", "dispatch_microseconds", "copy_gigabytes"] {
        assert!(lines[0]["ceilings"][ceiling].as_f64().is_some_and(|value| value > 0.0), "{ceiling}: {}", lines[0]);
    }
    let names: Vec<_> = lines[1..].iter().map(|line| (line["recipe"].as_str(), line["contestant"].as_str())).collect();
    assert_eq!(names, [(Some("contrastive"), Some("gpu"))]);
}

/// The epoch has two steps; both are within what rounding allows, and the picture is one that others can read.
fn an_epoch_is_followed_and_drawn() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    let picture = folder.path().join("drift.svg");
    let data = ["--recipe", "paper", "--dataset", "mnist", "--data-dir", text(folder.path()), "--json"];
    let lines = run(&join(&[&["verify", "--device", "gpu", "--drift", text(&picture)], &data])).succeeded().json_lines();
    assert_eq!(lines.iter().map(|line| line["step"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    for line in &lines {
        let [movement, single, bound] = ["movement", "single", "bound"].map(|key| line[key].as_f64().unwrap());
        assert!(0.0 < single && single < bound && bound < movement, "{line}");
    }
    assert!(fs::read_to_string(&picture).unwrap().contains("rounding alone"));
}

/// A run times its tiles where nothing is known of them, and takes them from the cache the next time; a damaged cache counts as none. The
/// model is the same to the last bit, whatever was chosen.
fn tiles_are_timed_once_and_change_nothing() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    let cache = folder.path().join("cache");
    let network = ["--layers", "784,12,10", "--batch-size", "16"];
    let train = |tune: &str| {
        let out = folder.path().join("run");
        let _ = fs::remove_dir_all(&out);
        let data = ["--dataset", "mnist", "--data-dir", text(folder.path()), "--epochs", "1", "--quiet", "--out", text(&out)];
        let variables = [("FFCL_CACHE_DIR", text(&cache)), ("FFCL_TUNE", tune)];
        let ran = run_with(&join(&[&["train", "--device", "gpu"], &network, &data]), &variables).succeeded();
        (ran.stderr.contains("--tune off"), fs::read(out.join("model.safetensors")).unwrap())
    };
    let (is_timed, model) = train("off");
    assert!(!is_timed && !cache.exists());
    assert_eq!(train("auto"), (true, model.clone()));
    let tiles = cache.join("tiles.json");
    let kept = fs::read(&tiles).unwrap();
    assert_eq!(train("auto"), (false, model.clone()));
    assert_eq!(fs::read(&tiles).unwrap(), kept);
    let text = String::from_utf8(kept).unwrap();
    // Not JSON; and JSON of tiles that no table has.
    for damaged in [text[..text.len() / 2].to_owned(), text.replacen("\"rows\": ", "\"rows\": 9", 1)] {
        assert_ne!(damaged, text);
        fs::write(&tiles, damaged).unwrap();
        assert_eq!(train("auto"), (true, model.clone()));
    }
    let table =
        run_with(&join(&[&["tune", "--device", "gpu", "--json"], &network]), &[("FFCL_CACHE_DIR", crate::support::text(&cache))]);
    let lines = table.succeeded().json_lines();
    let chosen: Vec<_> = lines.iter().filter(|line| line["chosen"] == true).map(|line| line["knob"].clone()).collect();
    assert!(chosen.contains(&"forward-small".into()) && chosen.contains(&"update-small".into()), "{chosen:?}");
    assert!(lines.len() > 2 * chosen.len());
}
