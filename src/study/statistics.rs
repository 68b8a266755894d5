//! Means, deviations and intervals.

/// Mean and sample standard deviation; the deviation of one value is 0.
pub fn mean_and_deviation(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    let squares = values.map(|value| (value - mean).powi(2)).sum::<f64>();
    (mean, if count > 1.0 { (squares / (count - 1.0)).sqrt() } else { 0.0 })
}

/// Mean of differences between paired values, and half the width of its 95 % confidence interval by Student's t; `None` for fewer
/// than two of them, which have no deviation.
pub fn paired_interval(differences: &[f64]) -> Option<(f64, f64)> {
    let degrees = u32::try_from(differences.len()).ok()?.checked_sub(1).filter(|&degrees| degrees > 0)?;
    let (mean, deviation) = mean_and_deviation(differences.iter().copied());
    Some((mean, student_quantile(0.95, degrees) * deviation / (differences.len() as f64).sqrt()))
}

/// The t below which, either way, lies the share `within` of Student's distribution.
fn student_quantile(within: f64, degrees: u32) -> f64 {
    // Bisection of the angle that `student_within` is a function of: it grows from 0 at 0 to 1 at π/2.
    let (mut low, mut high) = (0.0, std::f64::consts::FRAC_PI_2);
    for _ in 0..64 {
        let middle = 0.5 * (low + high);
        if student_within(middle, degrees) < within { low = middle } else { high = middle }
    }
    f64::from(degrees).sqrt() * low.tan()
}

/// The share of Student's distribution within ±t, for `angle` = atan(t / √degrees): a finite sum (Abramowitz and Stegun, 26.7.3
/// and 26.7.4), so no table is needed and every number of seeds is exact.
fn student_within(angle: f64, degrees: u32) -> f64 {
    let (sine, cosine) = angle.sin_cos();
    let odd = degrees % 2 == 1;
    // Terms are cosⁿ with the factors 2/3 · 4/5 … for odd degrees, 1/2 · 3/4 … for even ones.
    let mut term = if odd { cosine } else { 1.0 };
    let mut sum = 0.0;
    for n in (if odd { 3 } else { 2 }..=degrees).step_by(2) {
        sum += term;
        term *= cosine * cosine * f64::from(n - 1) / f64::from(n);
    }
    if odd { std::f64::consts::FRAC_2_PI * (angle + sine * sum) } else { sine * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_deviations_are_the_closed_forms() {
        assert_eq!(mean_and_deviation([3.0].into_iter()), (3.0, 0.0));
        assert_eq!(mean_and_deviation([1.0, 3.0].into_iter()), (2.0, 2f64.sqrt()));
        // 1 … n has the variance n (n + 1) / 12.
        let (mean, deviation) = mean_and_deviation((1..=9).map(f64::from));
        assert!((mean - 5.0).abs() < 1e-12 && (deviation - 7.5f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn quantiles_are_those_of_the_printed_tables() {
        let table = [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (29, 2.045), (120, 1.980)];
        for (degrees, quantile) in table {
            assert!((student_quantile(0.95, degrees) - quantile).abs() < 6e-4, "{degrees}");
        }
        assert!((student_quantile(0.99, 10) - 3.169).abs() < 6e-4);
        // Closed forms: tan for one degree, and t² = 2 p² / (1 − p²) for two.
        assert!((student_quantile(0.5, 1) - 1.0).abs() < 1e-12);
        assert!((student_quantile(0.5, 2) - (2.0f64 * 0.25 / 0.75).sqrt()).abs() < 1e-12);
        // Almost the normal distribution's.
        assert!((student_quantile(0.95, 100_001) - 1.959_98).abs() < 1e-4);
    }

    #[test]
    fn intervals_of_paired_differences() {
        assert_eq!(paired_interval(&[]), None);
        assert_eq!(paired_interval(&[1.0]), None);
        let (mean, half) = paired_interval(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert!((mean - 3.0).abs() < 1e-12);
        assert!((half - 2.776_445 * (2.5f64 / 5.0).sqrt()).abs() < 1e-5, "{half}");
    }
}
