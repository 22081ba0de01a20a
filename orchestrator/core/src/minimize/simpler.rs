//! Steps with smaller numbers and fewer flags.

use coldcut_wire::{Op, WriteFlags};

const BLOCK: u64 = 4096;

/// Ways to do an operation more simply, the greatest simplification first; none where it is as simple as it gets.
pub(super) fn simpler(op: &Op) -> Vec<Op> {
    let mut all = Vec::new();
    if let Op::Write(write) = op {
        let mut add = |change: &dyn Fn(&mut coldcut_wire::op::Write)| {
            let mut simple = write.clone();
            change(&mut simple);
            if simple != *write {
                all.push(Op::Write(simple));
            }
        };
        add(&|write| {
            write.flags = WriteFlags {
                create: write.flags.create,
                ..WriteFlags::default()
            };
        });
        add(&|write| (write.offset, write.len) = (0, write.len.min(BLOCK)));
        add(&|write| write.len = write.len.min(BLOCK));
        add(&|write| write.offset = 0);
        add(&|write| write.chunk = 0);
    }
    if let Op::Fallocate(allocate) = op {
        for (offset, len) in [(0, BLOCK), (allocate.offset, BLOCK), (0, allocate.len)] {
            let mut simple = allocate.clone();
            (simple.offset, simple.len) = (offset, len.min(allocate.len));
            if simple != *allocate {
                all.push(Op::Fallocate(simple));
            }
        }
    }
    if let Op::MmapStore(store) = op
        && store.len > BLOCK
    {
        let mut simple = store.clone();
        simple.len = BLOCK;
        all.push(Op::MmapStore(simple));
    }
    if let Op::Truncate(truncate) = op
        && truncate.size > 0
    {
        let mut simple = truncate.clone();
        simple.size = 0;
        all.push(Op::Truncate(simple));
    }
    all
}
