//! One dimension of the index: intervals, and for each the set of rules that can fit in it.
//!
//! Rules that say nothing about the dimension are kept once, beside the intervals (`any`); an interval's own set has
//! only the others, as the words of 64 rules that are not empty and a summary of where they belong. Intervals with
//! equal sets share one. So ten thousand rules that name a host each take about as much memory as the rules do.
//!
//! What must hold: a rule is in the set of every interval that one of its ranges touches.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// What a dimension counts by.
pub(super) trait Key: Copy + Ord + std::fmt::Debug {
    /// The smallest.
    const FIRST: Self;
    /// The next larger one, if there is one.
    fn next(self) -> Option<Self>;
}

macro_rules! key {
    ($($t:ty),*) => { $(impl Key for $t {
        const FIRST: Self = 0;
        fn next(self) -> Option<Self> {
            self.checked_add(1)
        }
    })* };
}
key!(u8, u16, u32, u128);

/// A set of rules that has a bit for each.
#[derive(Clone, Debug, Default)]
pub(super) struct Dense {
    rules: usize,
    words: Vec<u64>,
    summary: Vec<u64>,
}

/// 64 words of a set: which of them are not empty, and where those are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Block {
    summary: u64,
    words: u32,
}

/// A dimension.
#[derive(Clone, Debug)]
pub(super) struct Dimension<K> {
    /// Where each interval begins; the first at the smallest key.
    starts: Vec<K>,
    /// The set of each interval.
    sets: Vec<u32>,
    any: Dense,
    /// As many for each set as `any` has words of summary.
    blocks: Vec<Block>,
    words: Vec<u64>,
    coarse: bool,
}

/// The rules that can fit at one key: those that take any, and those of the key's interval.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct View<'a> {
    any: &'a [u64],
    any_summary: &'a [u64],
    blocks: &'a [Block],
    words: &'a [u64],
}

impl View<'_> {
    #[inline]
    pub(super) fn summary(&self, place: usize) -> u64 {
        self.any_summary[place] | self.blocks.get(place).map_or(0, |block| block.summary)
    }

    #[inline]
    pub(super) fn word(&self, place: usize) -> u64 {
        let any = self.any[place];
        let Some(block) = self.blocks.get(place / 64) else { return any };
        let bit = 1u64 << (place % 64);
        if block.summary & bit == 0 {
            return any;
        }
        any | self.words[block.words as usize + (block.summary & (bit - 1)).count_ones() as usize]
    }
}

impl Dense {
    /// The set of these rules out of so many.
    pub(super) fn of(rules: usize, members: impl Iterator<Item = usize>) -> Dense {
        let words = rules.div_ceil(64);
        let mut set = Dense { rules, words: vec![0; words], summary: vec![0; words.div_ceil(64)] };
        members.for_each(|rule| set.insert(rule));
        set
    }

    fn insert(&mut self, rule: usize) {
        self.words[rule / 64] |= 1 << (rule % 64);
        self.summary[rule / 4096] |= 1 << (rule / 64 % 64);
    }

    fn remove(&mut self, rule: usize) {
        self.words[rule / 64] &= !(1 << (rule % 64));
        if self.words[rule / 64] == 0 {
            self.summary[rule / 4096] &= !(1 << (rule / 64 % 64));
        }
    }

    pub(super) fn view(&self) -> View<'_> {
        View { any: &self.words, any_summary: &self.summary, blocks: &[], words: &[] }
    }

    pub(super) fn rules(&self) -> usize {
        self.rules
    }

    pub(super) fn bytes(&self) -> usize {
        (self.words.len() + self.summary.len()) * size_of::<u64>()
    }
}

/// From which interval to which, both included, a rule is in the sets.
struct Span {
    rule: u32,
    first: u32,
    last: u32,
}

impl<K: Key> Dimension<K> {
    /// Cuts the dimension where ranges begin and end. Where the sets would take more than `bytes_max`, three of four
    /// cuts are left out, as often as it takes.
    pub(super) fn build(any: Dense, specific: &[(u32, &[(K, K)])], bytes_max: usize) -> Dimension<K> {
        let mut starts = cuts(specific);
        let mut coarse = false;
        loop {
            let spans = spans(&starts, specific);
            if let Some((sets, blocks, words)) = sweep(any.rules, starts.len(), &spans, bytes_max) {
                return Dimension { starts, sets, any, blocks, words, coarse };
            }
            starts = starts.into_iter().step_by(4).collect();
            coarse = true;
        }
    }

    /// The rules that can fit at `key`; without one, those that take any.
    #[inline]
    pub(super) fn view(&self, key: Option<K>) -> View<'_> {
        let mut view = self.any.view();
        let Some(key) = key else { return view };
        let interval = self.starts.partition_point(|start| *start <= key) - 1;
        let blocks = self.any.summary.len();
        let first = self.sets[interval] as usize * blocks;
        (view.blocks, view.words) = (&self.blocks[first..first + blocks], &self.words);
        view
    }

    /// Bytes, and whether it has fewer intervals than the rules have.
    pub(super) fn size(&self) -> (usize, bool) {
        let intervals = self.starts.len() * (size_of::<K>() + size_of::<u32>());
        let sets = self.blocks.len() * size_of::<Block>() + self.words.len() * size_of::<u64>();
        (intervals + sets + self.any.bytes(), self.coarse)
    }
}

fn cuts<K: Key>(specific: &[(u32, &[(K, K)])]) -> Vec<K> {
    let ranges = specific.iter().flat_map(|(_, ranges)| ranges.iter());
    let mut cuts: Vec<K> = ranges.flat_map(|(first, last)| [Some(*first), last.next()]).flatten().collect();
    cuts.push(K::FIRST);
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

/// Ranges as intervals; a rule's that touch are one, so that a rule enters and leaves each set once.
fn spans<K: Key>(starts: &[K], specific: &[(u32, &[(K, K)])]) -> Vec<Span> {
    let interval = |key: K| starts.partition_point(|start| *start <= key) as u32 - 1;
    let mut spans: Vec<Span> = Vec::with_capacity(specific.len());
    for (rule, ranges) in specific {
        let mut own: Vec<(u32, u32)> = ranges.iter().map(|(first, last)| (interval(*first), interval(*last))).collect();
        own.sort_unstable();
        let begin = spans.len();
        for (first, last) in own {
            match spans[begin..].last_mut() {
                Some(before) if first <= before.last + 1 => before.last = before.last.max(last),
                _ => spans.push(Span { rule: *rule, first, last }),
            }
        }
    }
    spans
}

type Swept = (Vec<u32>, Vec<Block>, Vec<u64>);

/// Goes through the intervals in order and keeps each set that it has not met. None: they take more than `bytes_max`.
fn sweep(rules: usize, intervals: usize, spans: &[Span], bytes_max: usize) -> Option<Swept> {
    let mut entering: Vec<(u32, u32)> = spans.iter().map(|span| (span.first, span.rule)).collect();
    let mut leaving: Vec<(u32, u32)> = spans.iter().map(|span| (span.last + 1, span.rule)).collect();
    entering.sort_unstable();
    leaving.sort_unstable();
    let (mut entering, mut leaving) = (entering.into_iter().peekable(), leaving.into_iter().peekable());
    let mut set = Dense::of(rules, std::iter::empty());
    let mut known: HashMap<u64, u32, FixedState> = HashMap::default();
    let (mut sets, mut blocks, mut words) = (Vec::with_capacity(intervals), Vec::new(), Vec::new());
    let hasher = FixedState::default();
    for interval in 0..intervals as u32 {
        while let Some((_, rule)) = leaving.next_if(|(at, _)| *at == interval) {
            set.remove(rule as usize);
        }
        while let Some((_, rule)) = entering.next_if(|(at, _)| *at == interval) {
            set.insert(rule as usize);
        }
        let (block, word) = (blocks.len(), words.len());
        append(&set, &mut blocks, &mut words);
        let hash = hasher.hash_one((&set.summary, &words[word..]));
        let width = set.summary.len();
        let fresh = (block / width) as u32;
        let like = *known.entry(hash).or_insert(fresh);
        if like != fresh && same(&blocks, &words, like as usize * width, block, width) {
            blocks.truncate(block);
            words.truncate(word);
            sets.push(like);
        } else {
            sets.push(fresh);
        }
        if blocks.len() * size_of::<Block>() + words.len() * size_of::<u64>() > bytes_max && intervals > 1 {
            return None;
        }
    }
    Some((sets, blocks, words))
}

fn append(set: &Dense, blocks: &mut Vec<Block>, words: &mut Vec<u64>) {
    for (at, summary) in set.summary.iter().enumerate() {
        blocks.push(Block { summary: *summary, words: words.len() as u32 });
        let mut rest = *summary;
        while rest != 0 {
            words.push(set.words[at * 64 + rest.trailing_zeros() as usize]);
            rest &= rest - 1;
        }
    }
}

/// Whether the set whose blocks begin at `a` is the one whose blocks begin at `b`, the last one.
fn same(blocks: &[Block], words: &[u64], a: usize, b: usize, width: usize) -> bool {
    let (a, b) = (&blocks[a..a + width], &blocks[b..b + width]);
    if !a.iter().zip(b).all(|(a, b)| a.summary == b.summary) {
        return false;
    }
    let (from, to) = (a[0].words as usize, b[0].words as usize);
    let count = words.len() - to;
    words[from..from + count] == words[to..]
}
