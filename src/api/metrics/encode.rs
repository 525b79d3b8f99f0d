//! How single metrics are written on the page.

use std::fmt;

use model::DurationCounts;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

pub(super) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

pub(super) fn count(things: usize) -> i64 {
    i64::try_from(things).unwrap_or(i64::MAX)
}

pub(super) fn gauge<N>(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: N) -> Result<(), fmt::Error>
where
    ConstGauge<N>: EncodeMetric,
{
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

pub(super) fn histogram(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    durations: &DurationCounts,
) -> Result<(), fmt::Error> {
    encoder.encode_descriptor(name, help, None, MetricType::Histogram)?.encode_histogram::<NoLabelSet>(
        durations.seconds,
        durations.count,
        &durations.buckets,
        None,
    )
}

pub(super) fn counter<N>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: N,
) -> Result<(), fmt::Error>
where
    ConstCounter<N>: EncodeMetric,
{
    ConstCounter::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
}

/// A series that is always 1: its label is what it says.
pub(super) fn labelled(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: (&str, &str),
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(1i64).encode(family.encode_family(&[label])?)
}

/// One series of a family for each of `rows`, told apart by labels.
pub(super) fn family<L, T>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, kind): (&str, &str, MetricType),
    rows: impl IntoIterator<Item = (L, T)>,
    mut encode: impl FnMut(T, MetricEncoder<'_>) -> Result<(), fmt::Error>,
) -> Result<(), fmt::Error>
where
    L: AsRef<[(&'static str, String)]>,
{
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in rows {
        encode(value, family.encode_family(&labels.as_ref())?)?;
    }
    Ok(())
}

/// A number that only grows, of a family.
pub(super) fn growing(value: u64, metric: MetricEncoder<'_>) -> Result<(), fmt::Error> {
    ConstCounter::new(value).encode(metric)
}

/// A number, of a family.
pub(super) fn level(value: u64, metric: MetricEncoder<'_>) -> Result<(), fmt::Error> {
    ConstGauge::new(signed(value)).encode(metric)
}

/// Durations, of a family.
pub(super) fn spread(durations: &DurationCounts, mut metric: MetricEncoder<'_>) -> Result<(), fmt::Error> {
    metric.encode_histogram::<NoLabelSet>(durations.seconds, durations.count, &durations.buckets, None)
}
