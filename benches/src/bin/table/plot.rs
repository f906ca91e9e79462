//! Plots: cost against size, both axes logarithmic.

use std::path::Path;

use plotters::prelude::*;
use quitter_benches::OURS;

use crate::measure::Measured;
use crate::report;
use crate::row::{Cells, Row};

/// The points of one implementation.
struct Series {
    name: &'static str,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

const OUR_COLOR: RGBColor = RGBColor(31, 78, 121);
const FLOOR_COLOR: RGBColor = RGBColor(140, 140, 140);
const OTHER_COLORS: [RGBColor; 3] = [
    RGBColor(214, 106, 28),
    RGBColor(76, 145, 65),
    RGBColor(140, 60, 150),
];

/// Draws a row.
pub(crate) fn draw(row: &Row, measured: &Measured, file: &Path) {
    let series = series(row, measured);
    let (sizes, values) = ranges(&series);
    let area = SVGBackend::new(file, (720, 420)).into_drawing_area();
    let drawn = draw_series(row, &series, &area, (sizes, values));
    drawn.and_then(|()| area.present()).expect("a plot");
}

fn draw_series(
    row: &Row,
    series: &[Series],
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    ((x_from, x_to), (y_from, y_to)): ((f64, f64), (f64, f64)),
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(row.what.replace('`', ""), ("sans-serif", 18))
        .margin(12)
        .margin_right(36)
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d((x_from..x_to).log_scale(), (y_from..y_to).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("size")
        .x_label_formatter(&|size| report::size(*size as usize))
        .y_label_formatter(&|value| row.unit.show(*value))
        .light_line_style(WHITE)
        .draw()?;
    for series in series {
        let style = series.color.stroke_width(2);
        let line = LineSeries::new(series.points.iter().copied(), style);
        chart
            .draw_series(line.point_size(4))?
            .label(series.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .draw()
}

/// The points of quitter, the floor, and all others.
fn series(row: &Row, measured: &Measured) -> Vec<Series> {
    let at: Vec<_> = row
        .sizes
        .iter()
        .map(|&size| (size as f64, row.cells(size, measured)))
        .collect();
    let line = |name, color, value: &dyn Fn(&Cells) -> Option<f64>| Series {
        name,
        color,
        points: at
            .iter()
            .filter_map(|(size, cells)| Some((*size, value(cells)?)))
            .collect(),
    };
    let mut all = vec![line(OURS, OUR_COLOR, &|cells| cells.ours)];
    all.extend(
        row.floor
            .map(|floor| line(floor.name, FLOOR_COLOR, &|cells| cells.floor)),
    );
    let others = row.peers.iter().chain(row.others);
    let others = others.zip(OTHER_COLORS.into_iter().cycle());
    all.extend(others.map(|(name, color)| line(name, color, &|cells| cells.of(name))));
    all
}

/// The ranges of sizes and of values, with room for the legend above.
fn ranges(series: &[Series]) -> ((f64, f64), (f64, f64)) {
    let points = || series.iter().flat_map(|series| &series.points);
    let range = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::MAX, f64::MIN), |(from, to), value| {
            (from.min(value), to.max(value))
        })
    };
    let sizes = range(&mut points().map(|point| point.0));
    let (from, to) = range(&mut points().map(|point| point.1));
    (sizes, (from / 2.0, to * 20.0))
}
