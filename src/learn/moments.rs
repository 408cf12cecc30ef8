//! The mean and the covariance of embeddings in which every recording counts the same, however many windows it has.

/// The first and second moments of the embeddings of recordings.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// The number of recordings.
    n: f64,
    /// The mean, `[size]`.
    mean: Vec<f64>,
    /// The mean of the products of two numbers, `[size, size]`.
    products: Vec<f64>,
}

impl Moments {
    /// The moments of recordings, each given by its embeddings, one after the other, of `size` numbers each. A recording without
    /// an embedding does not count.
    pub fn of<'a>(recordings: impl IntoIterator<Item = &'a [f32]>, size: usize) -> Self {
        let mut moments = Self { n: 0.0, mean: vec![0.0; size], products: vec![0.0; size * size] };
        for embeddings in recordings {
            moments.add(embeddings);
        }
        for value in moments.mean.iter_mut().chain(&mut moments.products) {
            *value /= moments.n.max(1.0);
        }
        moments
    }

    fn add(&mut self, embeddings: &[f32]) {
        let size = self.mean.len();
        let n_windows = embeddings.len() / size.max(1);
        if n_windows == 0 {
            return;
        }
        let weight = 1.0 / n_windows as f64;
        for embedding in embeddings.chunks_exact(size) {
            for (at, value) in embedding.iter().enumerate() {
                let value = weight * f64::from(*value);
                self.mean[at] += value;
                // The upper triangle is enough; the lower one is its mirror.
                let row = &mut self.products[at * size + at..(at + 1) * size];
                row.iter_mut().zip(&embedding[at..]).for_each(|(sum, other)| *sum += value * f64::from(*other));
            }
        }
        self.n += 1.0;
    }

    /// The number of recordings.
    pub fn n(&self) -> f64 {
        self.n
    }

    /// The mean, `[size]`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The moments of both, of which `other` has so much of the weight, 0…1.
    pub fn mixed(&self, other: &Self, weight: f64) -> Self {
        let mix = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (1.0 - weight) * a + weight * b).collect();
        Self { n: self.n + other.n, mean: mix(&self.mean, &other.mean), products: mix(&self.products, &other.products) }
    }

    /// The direction `v` that solves (C + shrink · mean variance · I) v = `difference`, where C is the covariance. It is a ridge
    /// discriminant (Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 4.3.1): of all directions, the one in
    /// which the difference is largest against the scatter.
    pub fn solve(&self, difference: &[f64], shrink: f64) -> Vec<f64> {
        let size = self.mean.len();
        let covariance = |row: usize, column: usize| {
            let (low, high) = (row.min(column), row.max(column));
            self.products[low * size + high] - self.mean[low] * self.mean[high]
        };
        let variance = (0..size).map(|at| covariance(at, at)).sum::<f64>() / size.max(1) as f64;
        let ridge = shrink * variance.max(f64::MIN_POSITIVE);
        let mut factor = vec![0.0; size * size];
        // Cholesky: the matrix is the product of a lower triangle and its mirror.
        for row in 0..size {
            for column in 0..=row {
                let (above, own) = factor.split_at(row * size);
                let known = if column == row { &own[..column] } else { &above[column * size..column * size + column] };
                let sum: f64 = own[..column].iter().zip(known).map(|(a, b)| a * b).sum();
                let rest = covariance(row, column) + if row == column { ridge } else { 0.0 } - sum;
                factor[row * size + column] =
                    if row == column { rest.max(ridge * 1e-9).sqrt() } else { rest / factor[column * size + column] };
            }
        }
        let mut solution = difference.to_vec();
        for row in 0..size {
            let sum: f64 = (0..row).map(|column| factor[row * size + column] * solution[column]).sum();
            solution[row] = (solution[row] - sum) / factor[row * size + row];
        }
        for row in (0..size).rev() {
            let sum: f64 = (row + 1..size).map(|below| factor[below * size + row] * solution[below]).sum();
            solution[row] = (solution[row] - sum) / factor[row * size + row];
        }
        solution
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_recording_counts_the_same() {
        let moments = Moments::of([[1.0, 2.0].as_slice(), &[3.0, 0.0, 3.0, 0.0, 3.0, 0.0], &[]], 2);
        assert_eq!((moments.n(), moments.mean()), (2.0, [2.0, 1.0].as_slice()));
        // Covariance [[1, -1], [-1, 1]], mean variance 1; (C + I) v = (3, 0).
        let v = moments.solve(&[3.0, 0.0], 1.0);
        assert!((v[0] - 2.0).abs() < 1e-12 && (v[1] - 1.0).abs() < 1e-12, "{v:?}");
        let both = moments.mixed(&Moments::of([[0.0, 1.0].as_slice()], 2), 0.25);
        assert_eq!((both.n(), both.mean()), (3.0, [1.5, 1.0].as_slice()));
    }

    proptest! {
        #[test]
        fn the_solution_solves(values in prop::collection::vec(-5.0f32..5.0, 6 * 7), difference in prop::collection::vec(-3.0f64..3.0, 6)) {
            let moments = Moments::of(values.chunks(6), 6);
            let v = moments.solve(&difference, 0.3);
            let mean = moments.mean();
            let of = |row: usize, column: usize| {
                let product: f64 = values.chunks(6).map(|e| f64::from(e[row]) * f64::from(e[column])).sum::<f64>() / 7.0;
                product - mean[row] * mean[column]
            };
            let variance = (0..6).map(|at| of(at, at)).sum::<f64>() / 6.0;
            for (row, expected) in difference.iter().enumerate() {
                let sum: f64 = (0..6).map(|column| (of(row, column) + if row == column { 0.3 * variance } else { 0.0 }) * v[column]).sum();
                prop_assert!((sum - expected).abs() < 1e-6, "{sum} {expected}");
            }
        }
    }
}
