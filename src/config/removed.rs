//! Options of earlier versions that are gone, in the records of runs.

use serde_json::{Map, Value, json};

/// Takes them out of a run's record. Fails if the run was trained with one of them, and can neither go on nor be repeated without it.
pub fn take_removed(options: &mut Map<String, Value>) -> Result<(), String> {
    for (name, unused) in [("mutual", json!(0.0)), ("representation", json!("activation"))] {
        if let Some(value) = options.remove(name).filter(|value| *value != unused) {
            return Err(format!("trains with --{name} {}, which this version has not", plain(&value)));
        }
    }
    if options.get("head-rate") != Some(&json!("auto")) {
        return Ok(());
    }
    // It was 512 divided by the width of a head's layer.
    let rates = hidden(options).map(|width| 512.0 / width as f64).collect::<Vec<_>>();
    match rates.split_first() {
        Some((rate, others)) if others.iter().all(|other| other == rate) => {
            options.insert("head-rate".into(), json!(rate));
        }
        Some(_) if options.get("hidden-loss") == Some(&json!("head")) => {
            return Err("trains with --head-rate auto on layers of several widths, which this version has not".into());
        }
        _ => {
            options.remove("head-rate");
        }
    }
    Ok(())
}

/// The widths between input and output.
fn hidden(options: &Map<String, Value>) -> impl Iterator<Item = u64> {
    let widths = options.get("layers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let end = widths.len().saturating_sub(1).max(1);
    widths.get(1..end).unwrap_or_default().iter().filter_map(Value::as_u64)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(record: Value) -> Result<Value, String> {
        let mut options: Map<_, _> = serde_json::from_value(record).unwrap();
        take_removed(&mut options)?;
        Ok(options.into())
    }

    #[test]
    fn options_without_effect_are_taken_out_and_others_are_named() {
        assert_eq!(taken(json!({"mutual": 0.0, "representation": "activation", "epochs": 3})), Ok(json!({"epochs": 3})));
        assert!(taken(json!({"mutual": 0.3})).unwrap_err().contains("--mutual 0.3"));
        assert!(taken(json!({"representation": "pre-activation"})).unwrap_err().contains("--representation pre-activation"));
    }

    #[test]
    fn rates_of_heads_by_width_become_numbers_where_all_layers_have_one_width() {
        let heads = |layers: Value| json!({"hidden-loss": "head", "head-rate": "auto", "layers": layers});
        assert_eq!(taken(heads(json!([784, 64, 64, 10]))).unwrap()["head-rate"], 8.0);
        assert_eq!(taken(heads(json!([784, 33, 10]))).unwrap()["head-rate"], 512.0 / 33.0);
        assert!(taken(heads(json!([784, 64, 128, 10]))).unwrap_err().contains("--head-rate auto"));
        // Without a hidden layer, or with another loss, it had no effect.
        assert_eq!(taken(heads(json!([784, 10]))).unwrap().get("head-rate"), None);
        let idle = json!({"hidden-loss": "prototypes", "head-rate": "auto", "layers": [784, 64, 128, 10]});
        assert_eq!(taken(idle).unwrap().get("head-rate"), None);
        let given = json!({"hidden-loss": "head", "head-rate": 2.0, "layers": [784, 64, 128, 10]});
        assert_eq!(taken(given.clone()), Ok(given));
    }
}
