//! A workload: a name, and a function for each implementation.

/// Something that is measured in the same way for every implementation. `F` runs it.
pub struct Workload<F: 'static> {
    /// The name on the command line and in the rows of the table.
    pub name: &'static str,
    /// The name and the function of each implementation.
    pub implementations: &'static [(&'static str, F)],
}

impl<F: Copy> Workload<F> {
    /// Finds the function of an implementation.
    pub fn implementation(&self, name: &str) -> Option<F> {
        let mut all = self.implementations.iter();
        all.find(|(other, _)| *other == name).map(|&(_, run)| run)
    }
}

/// Runs the workload that the command line names, `WORKLOAD IMPLEMENTATION N`, and prints a line for
/// each figure.
///
/// # Panics
///
/// If there is no such workload.
pub fn run_named<F: Copy>(workloads: &[Workload<F>], run: impl FnOnce(F, usize) -> Figures) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [workload, implementation, n] = &arguments[..] else {
        panic!("usage: WORKLOAD IMPLEMENTATION N");
    };
    let named = workloads.iter().find(|other| other.name == workload);
    let named = named.unwrap_or_else(|| panic!("no workload {workload}"));
    let function = named.implementation(implementation);
    let function = function.unwrap_or_else(|| panic!("no {implementation} in {workload}"));
    for (figure, value) in run(function, n.parse().expect("a number")) {
        println!("{figure}\t{value}");
    }
}

/// The result of one run: named figures, in nanoseconds unless their row says otherwise.
pub type Figures = Vec<(&'static str, f64)>;

/// The value in the middle, or the mean of the two in the middle.
///
/// # Panics
///
/// If there is no value.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted[sorted.len() / 2];
    let lower = sorted[(sorted.len() - 1) / 2];
    f64::midpoint(lower, upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_values_is_the_mean_of_the_middle_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
