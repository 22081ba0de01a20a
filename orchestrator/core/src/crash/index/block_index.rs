//! Version lists: which requests touched a block, in completion order.

use std::ops::Range;
use std::sync::Arc;

use crate::recording::io::IoKind;
use crate::recording::log::WriteLog;

/// Bytes of a block.
pub const BLOCK: u64 = 4096;

/// A node of one level covers 16 of the level below; level 0 is a block.
const RADIX_BITS: u32 = 4;
/// 4 KiB to 4 EiB.
const LEVELS: u32 = 15;

/// The nodes of one level, and a table of where to search for one.
#[derive(Clone, Debug)]
struct Level {
    /// A node covers 16 to this power blocks.
    height: u32,
    /// Where the level's nodes start and end in `nodes`.
    range: Range<u32>,
    /// Nodes whose numbers agree but for this many low bits share a place of the table.
    shift: u32,
    /// For each such group, where its nodes start; one more at the end.
    table: Vec<u32>,
}

/// Places of a level's table, at most.
const TABLE_BITS: u32 = 15;

impl Level {
    fn build(level: u32, nodes: &[u64]) -> Option<Self> {
        let bound = |level: u32| nodes.partition_point(|node| node >> 60 < u64::from(level));
        let range = bound(level)..bound(level + 1);
        let nodes = &nodes[range.clone()];
        let largest = nodes.last()? & NUMBER;
        let shift = (u64::BITS - largest.leading_zeros()).saturating_sub(TABLE_BITS);
        let groups = (largest >> shift) + 1;
        let mut table = Vec::with_capacity(groups as usize + 1);
        let mut at = 0;
        for group in 0..=groups {
            at += nodes[at..].partition_point(|node| (node & NUMBER) >> shift < group);
            table.push((range.start + at) as u32);
        }
        Some(Self {
            height: level,
            range: range.start as u32..range.end as u32,
            shift,
            table,
        })
    }

    /// The index of a node in `nodes`, or that of the next larger one.
    fn search(&self, nodes: &[u64], wanted: u64) -> Result<usize, usize> {
        let group = ((wanted & NUMBER) >> self.shift) as usize;
        let (Some(start), Some(end)) = (self.table.get(group), self.table.get(group + 1)) else {
            return Err(self.range.end as usize);
        };
        let (start, end) = (*start as usize, *end as usize);
        match nodes[start..end].binary_search(&wanted) {
            Ok(index) => Ok(start + index),
            Err(index) => Err(start + index),
        }
    }
}

/// For each part of the device, the requests that touched it.
///
/// A request's range is cut into aligned nodes of a tree with 16 children a node, as in a segment tree, so that a
/// discard of a whole device is a handful of list entries and not one for each block. A block's history is the merger
/// of the lists of its ancestors, of which there are few that are not empty. Memory: 4 bytes for each node that a
/// request covers (one for an aligned 4 KiB write), and 12 for each node that is covered at all.
#[derive(Clone, Debug)]
pub struct BlockIndex {
    log: Arc<WriteLog>,
    /// Covered nodes: level in the top 4 bits, the node's number below; sorted.
    nodes: Vec<u64>,
    /// Where each node's list starts in `versions`; one more at the end.
    starts: Vec<u32>,
    /// Completed requests, ascending for each node.
    versions: Vec<u32>,
    /// Levels that have nodes, from the lowest on.
    levels: Vec<Level>,
    /// Completed requests with FUA.
    fua: Vec<u32>,
}

impl BlockIndex {
    /// Indexes a log. Reads no data.
    pub fn build(log: Arc<WriteLog>) -> Self {
        let writes = || {
            (0..log.completed_count())
                .map(|id| (id, log.record(id)))
                .filter(|(_, record)| record.kind != IoKind::Flush && record.len > 0)
        };
        let mut count = 0;
        for (_, record) in writes() {
            for_each_node(record.offset, record.end(), |_| count += 1);
        }
        let mut pairs = Vec::with_capacity(count);
        for (id, record) in writes() {
            for_each_node(record.offset, record.end(), |node| pairs.push((node, id)));
        }
        pairs.sort_unstable();
        let distinct = pairs.chunk_by(|one, other| one.0 == other.0).count();
        let mut nodes = Vec::with_capacity(distinct);
        let mut starts = Vec::with_capacity(distinct + 1);
        let mut versions = Vec::with_capacity(pairs.len());
        for list in pairs.chunk_by(|one, other| one.0 == other.0) {
            nodes.push(list[0].0);
            starts.push(versions.len() as u32);
            versions.extend(list.iter().map(|(_, id)| *id));
        }
        starts.push(versions.len() as u32);
        let levels = (0..LEVELS)
            .filter_map(|level| Level::build(level, &nodes))
            .collect();
        let fua = writes()
            .filter(|(_, record)| record.fua)
            .map(|(id, _)| id)
            .collect();
        Self {
            log,
            nodes,
            starts,
            versions,
            levels,
            fua,
        }
    }

    /// The log that is indexed.
    pub fn log(&self) -> &Arc<WriteLog> {
        &self.log
    }

    /// Bytes of memory that the index holds, the log's own not counted.
    pub fn memory(&self) -> usize {
        let tables: usize = self.levels.iter().map(|level| level.table.capacity()).sum();
        let words = self.starts.capacity() + self.versions.capacity() + self.fua.capacity() + tables;
        self.nodes.capacity() * 8 + words * 4
    }

    /// The lists of a block's ancestors that are not empty.
    pub(crate) fn lists(&self, block: u64) -> impl Iterator<Item = &[u32]> {
        self.levels.iter().filter_map(move |level| {
            let index = level.search(&self.nodes, node(level.height, block)).ok()?;
            Some(&self.versions[self.starts[index] as usize..self.starts[index + 1] as usize])
        })
    }

    /// The first range of blocks, from `block` on, that some completed request touched.
    pub(crate) fn next_touched(&self, block: u64) -> Option<Range<u64>> {
        self.levels
            .iter()
            .filter_map(|level| {
                let index = match level.search(&self.nodes, node(level.height, block)) {
                    Ok(index) | Err(index) => index,
                };
                let found = self.nodes[..level.range.end as usize].get(index)?;
                let first = (found & NUMBER) << (RADIX_BITS * level.height);
                Some(first.max(block)..first + (1 << (RADIX_BITS * level.height)))
            })
            .min_by_key(|blocks| blocks.start)
    }

    /// Whether any request in this range of ids has FUA.
    pub(crate) fn any_fua(&self, from: u32, to: u32) -> bool {
        let first = self.fua.partition_point(|id| *id < from);
        self.fua.get(first).is_some_and(|id| *id < to)
    }
}

/// A node's number within its level.
const NUMBER: u64 = (1 << 60) - 1;

fn node(level: u32, block: u64) -> u64 {
    u64::from(level) << 60 | block >> (RADIX_BITS * level)
}

/// The nodes that cover a range of bytes, outwards rounded to blocks.
fn for_each_node(offset: u64, end: u64, mut each: impl FnMut(u64)) {
    let mut block = offset / BLOCK;
    let last = end.div_ceil(BLOCK);
    while block < last {
        let aligned = (block.trailing_zeros() / RADIX_BITS).min(LEVELS - 1);
        let fitting = (last - block).ilog2() / RADIX_BITS;
        let level = aligned.min(fitting);
        each(node(level, block));
        block += 1 << (RADIX_BITS * level);
    }
}
