//! Normalization inside a training graph.

use burn::tensor::{Tensor, TensorData};

use crate::normalization::Normalizer;

/// Normalizes rows on their device with a normalizer's state as it is; differentiable where the device is.
///
/// # Formula
/// `y = clamp((x - mean)/divisor(var), -clip, clip)` under the normalizer's rule; its gradient is
/// `dy/dx = 1/divisor(var)` inside the clip and 0 beyond it.
///
/// # Shapes
/// `rows` is n x width.
///
/// # Edge cases
/// The statistics are constants of the graph: whatever rows they were made of, no gradient flows through them.
///
/// # Panics
/// If the rows are not as wide as the normalizer.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use simic::normalization::{Memory, Normalizer, Rule, normalize_tensor};
///
/// let mut normalizer = Normalizer::new(Rule::observations(Memory::ema(0.99)), 2);
/// normalizer.update(4, &[1.0, -2.0], &[4.0, 0.25]);
///
/// let device = Device::flex().autodiff();
/// let rows = Tensor::<2>::from_floats([[0.5, 3.0], [900.0, 0.0]], &device).require_grad();
/// let normalized = normalize_tensor(rows.clone(), &normalizer);
/// let gradients = normalized.sum().backward();
///
/// let gradient = rows.grad(&gradients).unwrap().into_data().try_into_vec::<f32>().unwrap();
/// let var = normalizer.var()[0];
/// assert!((f64::from(gradient[0]) - 1.0 / (var + 1e-4).sqrt()).abs() < 1e-6);
/// assert_eq!(gradient[2], 0.0); // 900 lies beyond the clip
/// ```
pub fn normalize_tensor(rows: Tensor<2>, normalizer: &Normalizer) -> Tensor<2> {
    let width = normalizer.width();
    assert!(rows.dims()[1] == width, "rows of {width} values");
    let (mut center, mut inverse) = (vec![0.0; width], vec![0.0; width]);
    normalizer.scaling(&mut center, &mut inverse);
    let device = rows.device();
    let constant = |values: Vec<f64>| Tensor::<2>::from_data(TensorData::new(values, [1, width]), &device);
    let scaled = (rows - constant(center)) * constant(inverse);
    match normalizer.rule().clip {
        Some(clip) => scaled.clamp(-clip, clip),
        None => scaled,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::super::rule::{Memory, Order, Rule};
    use super::*;
    use crate::stats::{RowMoments, Rows};

    const WIDTH: usize = 3;

    fn normalizer() -> Normalizer {
        let mut normalizer = Normalizer::new(Rule::observations(Memory::ema(0.9)), WIDTH);
        normalizer.update(8, &[0.5, -3.0, 1.0], &[0.25, 9.0, 1e-6]);
        normalizer
    }

    fn rows(device: &Device) -> Tensor<2> {
        Tensor::from_floats([[0.4, -2.0, 1.0], [50.0, 4.0, -8.0], [-0.9, 300.0, 0.2]], device)
    }

    fn values(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().try_into_vec().expect("singles")
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let device = Device::flex().autodiff();
        let normalizer = normalizer();
        let x = rows(&device).require_grad();
        let gradients = normalize_tensor(x.clone(), &normalizer).sum().backward();
        let gradient = values(x.grad(&gradients).expect("a gradient"));
        let plain = Device::flex();
        let step = 1e-2;
        let at = |offset: f32| values(normalize_tensor(rows(&plain) + offset, &normalizer));
        let (above, below) = (at(step), at(-step));
        for (i, slope) in gradient.iter().enumerate() {
            let expected = (above[i] - below[i]) / (2.0 * step);
            assert!((slope - expected).abs() <= 2e-3 * (1.0 + expected.abs()), "{i}: {slope} {expected}");
        }
        assert!(gradient.contains(&0.0) && gradient.iter().any(|slope| *slope > 0.0));
    }

    #[test]
    fn statistics_made_of_the_same_rows_carry_no_gradient() {
        let device = Device::flex().autodiff();
        let x = rows(&device).require_grad();
        let rule = Rule { order: Order::UpdateFirst, clip: None, ..Rule::observations(Memory::Welford) };
        let mut normalizer = Normalizer::new(rule, WIDTH);
        let seen: Vec<f64> = values(x.clone().detach()).into_iter().map(f64::from).collect();
        let moments = RowMoments::of(Rows::F64(&seen), WIDTH);
        normalizer.update(moments.n(), moments.mean(), &moments.vars());
        let gradients = normalize_tensor(x.clone(), &normalizer).sum().backward();
        let gradient = values(x.grad(&gradients).expect("a gradient"));
        let (mut center, mut inverse) = ([0.0; WIDTH], [0.0; WIDTH]);
        normalizer.scaling(&mut center, &mut inverse);
        // Through the mean a gradient would be 0 in sum; detached it is 1/divisor for every row.
        for (i, slope) in gradient.iter().enumerate() {
            assert!((f64::from(*slope) - inverse[i % WIDTH]).abs() < 1e-6);
        }
    }
}
