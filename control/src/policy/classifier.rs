//! Which rules of a table can fit a flow at all: an index over addresses, ports, protocol and interfaces, compiled once
//! per policy.
//!
//! ```text
//! source ───→ interval ─→ rules ┐
//! destination → interval → rules ┤
//! ports, protocol, interfaces  … ┴─ AND ─→ candidates, in order ─→ each is held against the flow as ever
//! ```
//!
//! Each dimension is cut into intervals at the bounds that rules name; each interval has the set of rules that can fit
//! in it ([`intervals`]). A walk looks a flow up once in each dimension and then visits only rules that are in all of
//! the sets (Lakshman and Stiliadis' bit vectors, with the aggregation of Baboescu and Varghese: a summary bit for
//! every 64 rules). One numbering covers all chains of a table, so chains that call each other cost no further look-up.
//!
//! What must hold: a set may have rules too many, never one too few, for a candidate is still held against the flow by
//! the code that the linear walk uses. So whatever cannot be indexed (negation, holes in a mask, sets, marks) is in
//! all sets of its dimension. What stands after a match that remembers is not used for the index either: that match
//! must see, and count, the flow that fails later. Memory is bounded: a dimension that would need more than
//! [`DIMENSION_BYTES_MAX`] is cut into fewer intervals, which makes candidates more and answers no different.

use std::net::IpAddr;

use super::chains::{Rule, Seen};
use crate::limits::{CLASSIFIER_RULES_MIN, DIMENSION_BYTES_MAX};
use crate::rules::Family;
use intervals::{Dense, Dimension, Key, View};
use shape::Shape;

mod intervals;
mod shape;

#[cfg(test)]
mod tests;

/// The index over one table.
#[derive(Clone, Debug)]
pub(super) struct Classifier {
    /// Identity of the table's first rule.
    first: u32,
    v4: Index<u32>,
    v6: Index<u128>,
}

/// What an index takes, for `check` and the bench.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassifierSize {
    /// Rules in it.
    pub rules: usize,
    /// Bytes it takes.
    pub bytes: usize,
    /// Dimensions that have fewer intervals than the rules have, to stay within the bound.
    pub coarse: usize,
}

/// The index for one family. Dimensions that no rule names are left out.
#[derive(Clone, Debug)]
struct Index<A> {
    /// Every rule, for flows that are of no family.
    all: Dense,
    /// The rules that are not for the other family only.
    family: Dense,
    source: Option<Dimension<A>>,
    destination: Option<Dimension<A>>,
    source_port: Option<Dimension<u16>>,
    destination_port: Option<Dimension<u16>>,
    protocol: Option<Dimension<u8>>,
    input: Option<Dimension<u16>>,
    output: Option<Dimension<u16>>,
}

/// Dimensions of an index, the family's own set counted.
const DIMENSIONS: usize = 8;

/// The rules that can fit one flow, in order.
#[derive(Debug)]
pub(super) struct Candidates<'a> {
    first: u32,
    views: [View<'a>; DIMENSIONS],
    used: usize,
    /// The last word that was put together, and its place.
    word: (usize, u64),
    /// The last summary that was put together, and its place.
    summary: (usize, u64),
}

impl Classifier {
    /// Indexes the rules of a table, the first of which is rule `first`; none where walking is as quick.
    pub(super) fn compile(first: u32, rules: &[Rule]) -> Option<Classifier> {
        (rules.len() >= CLASSIFIER_RULES_MIN).then(|| {
            let v4: Vec<Option<Shape<u32>>> = rules.iter().map(|rule| Shape::of(rule, Family::V4)).collect();
            let v6: Vec<Option<Shape<u128>>> = rules.iter().map(|rule| Shape::of(rule, Family::V6)).collect();
            Classifier { first, v4: Index::compile(&v4), v6: Index::compile(&v6) }
        })
    }

    /// Looks a flow up.
    pub(super) fn look_up(&self, seen: &Seen) -> Candidates<'_> {
        let mut found = Candidates {
            first: self.first,
            views: Default::default(),
            used: 0,
            word: (usize::MAX, 0),
            summary: (usize::MAX, 0),
        };
        match (seen.source.ip(), seen.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.v4.look_up(source.to_bits(), destination.to_bits(), seen, &mut found);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.v6.look_up(source.to_bits(), destination.to_bits(), seen, &mut found);
            }
            // Addresses of two families do not say which rules fit: all are candidates.
            _ => found.add(self.v4.all.view()),
        }
        found
    }

    /// What it takes.
    pub(super) fn size(&self) -> ClassifierSize {
        let (v4, v6) = (self.v4.size(), self.v6.size());
        ClassifierSize { rules: self.v4.family.rules(), bytes: v4.0 + v6.0, coarse: v4.1 + v6.1 }
    }
}

impl<A: Key> Index<A> {
    fn compile(shapes: &[Option<Shape<A>>]) -> Index<A> {
        Index {
            all: Dense::of(shapes.len(), 0..shapes.len()),
            family: Dense::of(shapes.len(), shapes.iter().enumerate().filter(|(_, s)| s.is_some()).map(|(at, _)| at)),
            source: dimension(shapes, |shape| &shape.source),
            destination: dimension(shapes, |shape| &shape.destination),
            source_port: dimension(shapes, |shape| &shape.source_port),
            destination_port: dimension(shapes, |shape| &shape.destination_port),
            protocol: dimension(shapes, |shape| &shape.protocol),
            input: dimension(shapes, |shape| &shape.input),
            output: dimension(shapes, |shape| &shape.output),
        }
    }

    /// Addresses and ports first: they leave the fewest candidates, and the first empty word ends the AND.
    fn look_up<'a>(&'a self, source: A, destination: A, seen: &Seen, found: &mut Candidates<'a>) {
        let mut add = |view: Option<View<'a>>| view.into_iter().for_each(|view| found.add(view));
        add(self.source.as_ref().map(|d| d.view(Some(source))));
        add(self.destination.as_ref().map(|d| d.view(Some(destination))));
        add(self.destination_port.as_ref().map(|d| d.view(Some(seen.destination.port()))));
        add(self.source_port.as_ref().map(|d| d.view(Some(seen.source.port()))));
        add(self.input.as_ref().map(|d| d.view(seen.input.map(|id| id.0))));
        add(self.output.as_ref().map(|d| d.view(seen.output.map(|id| id.0))));
        add(self.protocol.as_ref().map(|d| d.view(Some(seen.protocol))));
        add(Some(self.family.view()));
    }

    fn size(&self) -> (usize, usize) {
        let of = |d: Option<(usize, bool)>| d.map_or((0, 0), |(bytes, coarse)| (bytes, usize::from(coarse)));
        let sizes = [
            of(self.source.as_ref().map(Dimension::size)),
            of(self.destination.as_ref().map(Dimension::size)),
            of(self.source_port.as_ref().map(Dimension::size)),
            of(self.destination_port.as_ref().map(Dimension::size)),
            of(self.protocol.as_ref().map(Dimension::size)),
            of(self.input.as_ref().map(Dimension::size)),
            of(self.output.as_ref().map(Dimension::size)),
        ];
        sizes.iter().fold((self.family.bytes() * 2, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }
}

/// One dimension of all rules; none where no rule says anything about it.
fn dimension<A, K: Key>(
    shapes: &[Option<Shape<A>>],
    ranges: impl Fn(&Shape<A>) -> &Option<Vec<(K, K)>>,
) -> Option<Dimension<K>> {
    let (mut any, mut specific) = (Vec::new(), Vec::new());
    for (rule, shape) in shapes.iter().enumerate() {
        match shape.as_ref().map(&ranges) {
            // Rules of the other family are kept out by the family's own set.
            None => {}
            Some(None) => any.push(rule),
            Some(Some(ranges)) => specific.push((rule as u32, ranges.as_slice())),
        }
    }
    let any = Dense::of(shapes.len(), any.into_iter());
    (!specific.is_empty()).then(|| Dimension::build(any, &specific, DIMENSION_BYTES_MAX))
}

impl<'a> Candidates<'a> {
    fn add(&mut self, view: View<'a>) {
        self.views[self.used] = view;
        self.used += 1;
    }

    /// The first rule from `from` on, and before `end`, that can fit.
    pub(super) fn next(&mut self, from: u32, end: u32) -> Option<u32> {
        if from >= end {
            return None;
        }
        let (from, end) = ((from - self.first) as usize, (end - self.first) as usize);
        let mut place = from / 64;
        let mut word = self.word(place) & (!0 << (from % 64));
        while word == 0 {
            place = self.next_word(place + 1, end.div_ceil(64))?;
            word = self.word(place);
        }
        let rule = place * 64 + word.trailing_zeros() as usize;
        (rule < end).then_some(rule as u32 + self.first)
    }

    /// The first word from `from` on, and before `end`, that need not be empty.
    fn next_word(&mut self, from: usize, end: usize) -> Option<usize> {
        let mut from = from;
        while from < end {
            let summary = self.summary(from / 64) & (!0 << (from % 64));
            if summary != 0 {
                let place = (from & !63) + summary.trailing_zeros() as usize;
                return (place < end).then_some(place);
            }
            from = (from & !63) + 64;
        }
        None
    }

    fn word(&mut self, place: usize) -> u64 {
        if self.word.0 != place {
            let mut word = !0;
            for view in &self.views[..self.used] {
                word &= view.word(place);
                if word == 0 {
                    break;
                }
            }
            self.word = (place, word);
        }
        self.word.1
    }

    fn summary(&mut self, place: usize) -> u64 {
        if self.summary.0 != place {
            self.summary = (place, self.views[..self.used].iter().fold(!0, |all, view| all & view.summary(place)));
        }
        self.summary.1
    }
}
