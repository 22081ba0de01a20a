//! A state as a qcow2 image, version 3, as QEMU's `docs/interop/qcow2.rst` defines it.
//!
//! Big-endian. Cluster 0 is the header; data clusters follow as they are found, then the L2 tables, the L1 table, the
//! refcount blocks and the refcount table, so that nothing is read twice. A cluster of zeros takes no space.

use std::io::{Seek, SeekFrom, Write};

use super::error::ExportError;
use crate::recording::block::ReadAt;

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Entries of 8 bytes in a cluster.
const TABLE: u64 = CLUSTER / 8;
/// Refcounts of 16 bits in a cluster.
const REFCOUNTS: u64 = CLUSTER / 2;
/// The cluster has one reference.
const COPIED: u64 = 1 << 63;
/// QEMU's limit of an L1 table: 32 MiB.
const MAX_SIZE: u64 = (32 << 20) / 8 * TABLE * CLUSTER;

/// Writes a device to `out`, which must be empty, as a qcow2 image without a backing file. The bytes of data in it.
///
/// # Errors
/// When the device is too large for the format, or as the stores say.
pub fn export_qcow2(
    device: &(impl ReadAt + ?Sized),
    out: &mut (impl Write + Seek),
) -> Result<u64, ExportError> {
    let size = device.size();
    if size > MAX_SIZE {
        return Err(ExportError::TooLarge(size));
    }
    let mut next = 1;
    out.seek(SeekFrom::Start(CLUSTER))?;
    let (l2_tables, data_clusters) = write_data(device, out, &mut next)?;
    let mut l1 = Vec::with_capacity(l2_tables.len());
    for table in &l2_tables {
        if table.iter().all(|entry| *entry == 0) {
            l1.push(0);
            continue;
        }
        l1.push((next * CLUSTER) | COPIED);
        write_table(out, table)?;
        next += 1;
    }
    let l1_at = next * CLUSTER;
    let l1_clusters = (l1.len() as u64).div_ceil(TABLE).max(1);
    l1.resize((l1_clusters * TABLE) as usize, 0);
    write_table(out, &l1)?;
    next += l1_clusters;
    let (refcount_at, refcount_clusters) = write_refcounts(out, next)?;
    let header = header(
        size,
        (l2_tables.len() as u32, l1_at),
        (refcount_clusters as u32, refcount_at),
    );
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&header)?;
    out.flush()?;
    Ok(data_clusters * CLUSTER)
}

/// Writes the clusters that are not zeros; their L2 tables, and their number.
fn write_data(
    device: &(impl ReadAt + ?Sized),
    out: &mut impl Write,
    next: &mut u64,
) -> Result<(Vec<Vec<u64>>, u64), ExportError> {
    let size = device.size();
    let tables = size.div_ceil(CLUSTER * TABLE);
    let mut l2 = vec![Vec::new(); tables as usize];
    let mut buffer = vec![0; CLUSTER as usize];
    let mut count = 0;
    for cluster in 0..size.div_ceil(CLUSTER) {
        let at = cluster * CLUSTER;
        let len = (size - at).min(CLUSTER) as usize;
        device.read_at(at, &mut buffer[..len])?;
        if buffer[..len].iter().all(|byte| *byte == 0) {
            continue;
        }
        buffer[len..].fill(0);
        out.write_all(&buffer)?;
        let table = &mut l2[(cluster / TABLE) as usize];
        table.resize(TABLE as usize, 0);
        table[(cluster % TABLE) as usize] = (*next * CLUSTER) | COPIED;
        *next += 1;
        count += 1;
    }
    Ok((l2, count))
}

/// Writes refcounts for `used` clusters and for those that hold the refcounts; where their table is, and its clusters.
fn write_refcounts(out: &mut impl Write, used: u64) -> Result<(u64, u64), ExportError> {
    let (mut blocks, mut table) = (1, 1);
    loop {
        let total = used + blocks + table;
        let wanted = (
            total.div_ceil(REFCOUNTS),
            total.div_ceil(REFCOUNTS).div_ceil(TABLE),
        );
        if wanted == (blocks, table) {
            break;
        }
        (blocks, table) = wanted;
    }
    let total = used + blocks + table;
    for block in 0..blocks {
        let mut bytes = vec![0; CLUSTER as usize];
        let ones = (total - block * REFCOUNTS).min(REFCOUNTS) as usize;
        for count in bytes.chunks_exact_mut(2).take(ones) {
            count[1] = 1;
        }
        out.write_all(&bytes)?;
    }
    let mut entries: Vec<u64> = (0..blocks).map(|block| (used + block) * CLUSTER).collect();
    entries.resize((table * TABLE) as usize, 0);
    write_table(out, &entries)?;
    Ok(((used + blocks) * CLUSTER, table))
}

fn write_table(out: &mut impl Write, entries: &[u64]) -> Result<(), ExportError> {
    let bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_be_bytes()).collect();
    out.write_all(&bytes)?;
    Ok(())
}

fn header(
    size: u64,
    (l1_entries, l1_at): (u32, u64),
    (refcount_clusters, refcount_at): (u32, u64),
) -> [u8; 112] {
    let mut bytes = [0; 112];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, b"QFI\xfb");
    put(4, &3_u32.to_be_bytes());
    put(20, &CLUSTER_BITS.to_be_bytes());
    put(24, &size.to_be_bytes());
    put(36, &l1_entries.to_be_bytes());
    put(40, &l1_at.to_be_bytes());
    put(48, &refcount_at.to_be_bytes());
    put(56, &refcount_clusters.to_be_bytes());
    // Refcounts of 2^4 bits; a header of 112 bytes, then the empty extension that ends them.
    put(96, &4_u32.to_be_bytes());
    put(100, &104_u32.to_be_bytes());
    bytes
}
