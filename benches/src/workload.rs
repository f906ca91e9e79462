//! What a workload is: a name, and a function for each who takes part.

/// What is measured in one way for all who take part. `F` is how it is run.
pub struct Workload<F: 'static> {
    /// What it is called on the command line and in the rows of the table.
    pub name: &'static str,
    /// Name and function of each who takes part.
    pub implementations: &'static [(&'static str, F)],
}

impl<F: Copy> Workload<F> {
    /// The function of one who takes part.
    pub fn implementation(&self, name: &str) -> Option<F> {
        let mut all = self.implementations.iter();
        all.find(|(other, _)| *other == name).map(|&(_, run)| run)
    }
}

/// What a program does that runs one workload: finds it by the command line, `WORKLOAD
/// IMPLEMENTATION N`, and prints a line for each figure.
///
/// # Panics
///
/// When there is no such workload.
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

/// What one run has measured: named figures, in nanoseconds if their row does not say otherwise.
pub type Figures = Vec<(&'static str, f64)>;

/// The value in the middle; of an even number, the mean of the two.
///
/// # Panics
///
/// When there is no value.
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
    fn the_median_of_an_even_number_is_between_the_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
