// One Adam step on four parameters at once (Kingma and Ba, 2015, algorithm 1). The gradient arrives in registers and never
// touches memory. Corrections come from the host in f64 precision. `rate`: how many times the step's learning rate they learn at.

#import constants
#import Step

struct Moments {
    first: vec4<f32>,
    second: vec4<f32>,
    weight: vec4<f32>,
}

// Numbers nearer to 0 than TINY become 0, so that none becomes subnormal.
fn flushed(value: vec4<f32>) -> vec4<f32> {
    return select(value, vec4<f32>(0.0), abs(value) < vec4<f32>(TINY));
}

fn adam(step: Step, rate: f32, gradient: vec4<f32>, state: Moments) -> Moments {
    var next: Moments;
    next.first = flushed(step.beta_1 * state.first + step.one_minus_beta_1 * gradient);
    next.second = flushed(step.beta_2 * state.second + step.one_minus_beta_2 * gradient * gradient);
    let numerator = next.first * step.first_correction;
    let denominator = sqrt(next.second * step.second_correction) + step.epsilon;
    next.weight = state.weight - step.learning_rate * rate * numerator / denominator;
    return next;
}
