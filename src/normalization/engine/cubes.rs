//! Tensors as cubecl has them, and cubes of threads.

use burn::backend::Cube;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::cubecl::CubeCount;
use burn::tensor::{Int, Tensor};

/// Threads of a cube.
pub(super) const CUBE: u32 = 256;

/// Cubes in one direction: what every driver allows.
const MOST_CUBES: u32 = 65_535;

/// Cubes for `n` threads, in two directions where one does not reach.
#[expect(clippy::cast_possible_truncation, reason = "a group of tiles has fewer than 2^32 threads")]
pub(super) fn cubes(n: usize) -> CubeCount {
    let cubes = (n as u32).div_ceil(CUBE).max(1);
    let columns = cubes.min(MOST_CUBES);
    CubeCount::Static(columns, cubes.div_ceil(columns), 1)
}

#[expect(clippy::expect_used, reason = "kernels run on devices of this backend alone")]
pub(super) fn primitive<const D: usize>(tensor: &Tensor<D>) -> FloatTensor<Cube> {
    tensor.clone().try_into_primitive::<Cube>().expect("a tensor of a device that runs kernels")
}

#[expect(clippy::expect_used, reason = "kernels run on devices of this backend alone")]
pub(super) fn int_primitive(tensor: &Tensor<1, Int>) -> IntTensor<Cube> {
    tensor.clone().try_into_primitive::<Cube>().expect("a tensor of a device that runs kernels")
}
