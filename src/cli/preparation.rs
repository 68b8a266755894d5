//! The names of preparations, for the output of `evaluate` and `predict`.

use ffcl_gpu::trained::preparation::Preparation;

/// For JSON.
pub fn preparation_name(preparation: Preparation) -> &'static str {
    match preparation {
        Preparation::Resize => "resize",
        Preparation::Digit | Preparation::DigitUnlessFramed => "digit",
    }
}

/// For people.
pub fn describe_preparation(preparation: Preparation) -> &'static str {
    match preparation {
        Preparation::Resize => "brought to the model's size, else as they are",
        Preparation::Digit | Preparation::DigitUnlessFramed => {
            "prepared as digits of MNIST are: found, inverted if dark on light, scaled, centred (--raw leaves them as they are)"
        }
    }
}
