//! What a crash state chooses from a log.

use coldcut_wire::splitmix::{GAMMA, finalize};
use num_bigint::BigUint;

use super::choice::{CrashState, DiscardAs, Set, Tear, TornPart};
use crate::covered::{Case, hit};
use crate::recording::disks::Watermarks;
use crate::recording::io::IoKind;
use crate::recording::log::{Cut, DataRef, Durability, Request, RequestId, WriteLog};

/// A state that the log does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It is a state of the log of what a recovery wrote.
    #[error("the log has no state of a recovery that was cut off")]
    Again,
    /// The log is shorter.
    #[error("cut {cut} is past the end of the log, which has {end} events")]
    Cut {
        /// The state's.
        cut: Cut,
        /// The log's last.
        end: Cut,
    },
    /// The request is not volatile there.
    #[error("request {} is not volatile at cut {cut}", request.0)]
    NotVolatile {
        /// The state's cut.
        cut: Cut,
        /// The request that it names.
        request: RequestId,
    },
    /// A mask with bits that stand for nothing.
    #[error("cut {cut} has {volatile} volatile writes, fewer than the mask has bits")]
    Mask {
        /// The state's cut.
        cut: Cut,
        /// How many there are.
        volatile: usize,
    },
    /// A permutation that does not exist.
    #[error("{overlapping} overlapping writes are in flight at cut {cut}: they have no order number {order}")]
    Order {
        /// The state's cut.
        cut: Cut,
        /// How many of the chosen writes in flight overlap another.
        overlapping: usize,
        /// The state's.
        order: u32,
    },
    /// A tear that is none.
    #[error("request {} cannot be torn so: it has {units} atomic units of {unit} bytes", request.0)]
    Tear {
        /// Which request.
        request: RequestId,
        /// How many it has.
        units: u64,
        /// Of how many bytes.
        unit: u32,
    },
    /// The tear is of a write that the state leaves out.
    #[error("request {} is torn but not chosen", _0.0)]
    TornButLeftOut(RequestId),
    /// The base image is of another size.
    #[error("the base image has {base} bytes, the device {device}")]
    BaseSize {
        /// Bytes.
        base: u64,
        /// Bytes.
        device: u64,
    },
    /// A write's data is in a sidecar that was not given.
    #[error("the state needs data from the log's sidecar, which is missing")]
    NoSidecar,
}

/// The writes that a state is made of, as a rule rather than a list: making one takes as long as the cut has requests
/// in flight, whatever the number of volatile writes (but for [`Set::Subset`], where it takes as long as there are volatile writes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// For each disk: requests to it below this are in it, if they are writes.
    pub(crate) floor: Watermarks,
    /// Requests from here on had not completed; those below, from their disk's `floor` on, are in it by FUA or by `rule`.
    pub(crate) completed: u32,
    pub(crate) rule: Rule,
    /// Chosen writes in flight, in the order in which they are applied, after all others.
    pub(crate) in_flight: Vec<RequestId>,
    /// By request, ascending.
    pub(crate) tears: Vec<Tear>,
    pub(crate) discard: DiscardAs,
}

/// Which completed volatile writes are chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    None,
    All,
    Without(u32),
    Members(Vec<u32>),
    Sample { node: u64, density: u32 },
}

impl Rule {
    fn contains(&self, request: u32) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Without(other) => *other != request,
            Self::Members(members) => members.binary_search(&request).is_ok(),
            Self::Sample { node, density } => sampled(*node, *density, request),
        }
    }
}

impl Selection {
    /// Whether a *completed* request's effect is in the state.
    pub(crate) fn contains(&self, log: &WriteLog, request: u32) -> bool {
        let record = log.record(request);
        if request >= self.completed || record.kind == IoKind::Flush {
            return false;
        }
        if self.discard == DiscardAs::Kept && record.kind == IoKind::Discard {
            return false;
        }
        let below = request < self.floor.of(usize::from(record.disk));
        if !below && record.fua {
            hit(Case::FuaBetweenFlushes);
        }
        below || record.fua || self.rule.contains(request)
    }

    /// Whether a volatile write is among those that the state's set chose.
    pub(crate) fn chooses(&self, log: &WriteLog, request: RequestId) -> bool {
        self.in_flight.contains(&request) || self.contains(log, request.0)
    }

    /// How a request is torn, if it is.
    pub(crate) fn tear(&self, request: u32) -> Option<&Tear> {
        let found = self.tears.binary_search_by_key(&request, |tear| tear.request.0);
        found.ok().map(|index| &self.tears[index])
    }

    /// Whether no completed request from its disk's `floor` on is in it, but for FUA.
    pub(crate) fn is_prefix(&self) -> bool {
        self.rule == Rule::None
    }

    /// Every request whose effect is in the state, in the order in which they are applied.
    pub fn requests<'a>(&'a self, log: &'a WriteLog) -> impl Iterator<Item = RequestId> + 'a {
        (0..self.completed)
            .filter(|request| self.contains(log, *request))
            .map(RequestId)
            .chain(self.in_flight.iter().copied())
    }
}

/// A cut at which a state chooses.
struct At<'a> {
    log: &'a WriteLog,
    cut: Cut,
    durability: Durability,
    /// Those of the requests in flight that can be chosen.
    pending: Vec<RequestId>,
}

impl At<'_> {
    /// Which completed requests a set chooses, and which in flight.
    fn choose(&self, set: &Set) -> Result<(Rule, Vec<RequestId>), StateError> {
        let pending = self.pending.iter().copied();
        Ok(match set {
            Set::Durable => (Rule::None, Vec::new()),
            Set::Completed => (Rule::All, Vec::new()),
            Set::All => (Rule::All, pending.collect()),
            Set::Without(request) => {
                self.named(*request)?;
                let rest = pending.filter(|other| other != request).collect();
                (Rule::Without(request.0), rest)
            }
            Set::Only(request) => {
                let request = *request;
                self.named(request)?;
                if request.0 < self.durability.completed {
                    (Rule::Members(vec![request.0]), Vec::new())
                } else {
                    (Rule::None, vec![request])
                }
            }
            Set::Subset(mask) => {
                let pending = pending.collect();
                self.log.subset(&self.durability, pending, mask, self.cut)?
            }
            Set::Sample { seed, number } => {
                let node = sample_node(*seed, self.cut, *number);
                let density = density(*number);
                let chosen = pending.filter(|request| sampled(node, density, request.0));
                (Rule::Sample { node, density }, chosen.collect())
            }
        })
    }

    /// That a state names a request that is volatile here.
    fn named(&self, request: RequestId) -> Result<(), StateError> {
        let volatile = if request.0 < self.durability.completed {
            self.log.is_completed_volatile(&self.durability, request.0)
        } else {
            self.pending.contains(&request)
        };
        let cut = self.cut;
        let not = StateError::NotVolatile { cut, request };
        if volatile { Ok(()) } else { Err(not) }
    }

    /// That the write that a state tears is one that it chose, and can be torn so.
    fn check_tear(
        &self,
        state: &CrashState,
        tear: &Tear,
        rule: &Rule,
        in_flight: &[RequestId],
    ) -> Result<(), StateError> {
        self.named(tear.request)?;
        let id = tear.request.0;
        let chosen = if id < self.durability.completed {
            rule.contains(id)
        } else {
            in_flight.contains(&tear.request)
        };
        self.log.check_tear(chosen, tear)?;
        if matches!(state.set, Set::Without(_) | Set::Subset(_) | Set::Sample { .. }) {
            hit(Case::TornAmongDropped);
        }
        Ok(())
    }
}

impl WriteLog {
    /// What a state chooses.
    ///
    /// # Errors
    /// When the log does not have the state.
    pub fn select(&self, state: &CrashState) -> Result<Selection, StateError> {
        if !state.again.is_empty() {
            return Err(StateError::Again);
        }
        let cut = state.cut;
        let durability = self
            .durability(cut)
            .ok_or(StateError::Cut { cut, end: self.end() })?;
        let at = At {
            log: self,
            cut,
            pending: self.choosable(&durability.in_flight),
            durability,
        };
        let (rule, mut in_flight) = at.choose(&state.set)?;
        for tear in &state.tears {
            at.check_tear(state, tear, &rule, &in_flight)?;
        }
        self.reorder(&mut in_flight, state.order, cut)?;
        // Last, so that a set, an order and a tear mean the same whatever a discard does.
        if state.discard == DiscardAs::Kept {
            in_flight.retain(|request| self.record(request.0).kind != IoKind::Discard);
        }
        Ok(Selection {
            floor: if rule == Rule::All {
                Watermarks::all(self.disks().count(), at.durability.completed)
            } else {
                at.durability.flushed
            },
            completed: at.durability.completed,
            rule,
            in_flight,
            tears: state.tears.clone(),
            discard: state.discard,
        })
    }

    /// The writes that are volatile at a cut, in the one global order; `None` for a cut past the end.
    pub fn volatile(&self, cut: Cut) -> Option<Vec<RequestId>> {
        let moment = self.durability(cut)?;
        let mut volatile = self.completed_volatile(&moment);
        volatile.extend(self.choosable(&moment.in_flight));
        Some(volatile)
    }

    /// The writes that are durable at a cut, in completion order; `None` for a cut past the end.
    pub fn durable(&self, cut: Cut) -> Option<impl Iterator<Item = RequestId> + '_> {
        let moment = self.durability(cut)?;
        Some((0..moment.completed).map(RequestId).filter(move |request| {
            let record = self.record(request.0);
            record.kind != IoKind::Flush
                && (request.0 < moment.flushed.of(usize::from(record.disk)) || record.fua)
        }))
    }

    /// Completed writes that are volatile at a moment.
    pub(crate) fn completed_volatile(&self, moment: &Durability) -> Vec<RequestId> {
        (moment.flushed.least()..moment.completed)
            .filter(|request| self.is_completed_volatile(moment, *request))
            .map(RequestId)
            .collect()
    }

    fn is_completed_volatile(&self, moment: &Durability, request: u32) -> bool {
        let record = self.record(request);
        request >= moment.flushed.of(usize::from(record.disk)) && record.kind != IoKind::Flush && !record.fua
    }

    /// Those of the requests in flight that a state can contain: no flushes, none whose data is lost.
    pub(crate) fn choosable(&self, in_flight: &[RequestId]) -> Vec<RequestId> {
        in_flight
            .iter()
            .copied()
            .filter(|request| self.record(request.0).is_choosable())
            .collect()
    }

    fn subset(
        &self,
        moment: &Durability,
        pending: Vec<RequestId>,
        mask: &BigUint,
        cut: Cut,
    ) -> Result<(Rule, Vec<RequestId>), StateError> {
        let completed = self.completed_volatile(moment);
        let volatile = completed.len() + pending.len();
        if mask.bits() > volatile as u64 {
            return Err(StateError::Mask { cut, volatile });
        }
        let bit = |index: usize| mask.bit(index as u64);
        let first_pending = completed.len();
        let members = completed
            .into_iter()
            .enumerate()
            .filter(|(index, _)| bit(*index))
            .map(|(_, request)| request.0)
            .collect();
        let chosen = pending
            .into_iter()
            .enumerate()
            .filter(|(index, _)| bit(first_pending + index))
            .map(|(_, request)| request)
            .collect();
        Ok((Rule::Members(members), chosen))
    }

    /// The indices of those writes in flight that overlap another of them.
    pub(crate) fn overlapping(&self, in_flight: &[RequestId]) -> Vec<usize> {
        let request = |id: &RequestId| self.record(id.0);
        (0..in_flight.len())
            .filter(|index| {
                let one = request(&in_flight[*index]);
                in_flight.iter().enumerate().any(|(other, id)| {
                    let other_record = request(id);
                    other != *index && one.offset < other_record.end() && other_record.offset < one.end()
                })
            })
            .collect()
    }

    /// Puts overlapping writes in flight into the permutation with the given rank.
    fn reorder(&self, in_flight: &mut [RequestId], order: u32, cut: Cut) -> Result<(), StateError> {
        if order == 0 {
            return Ok(());
        }
        let indices = self.overlapping(in_flight);
        let mut left: Vec<RequestId> = indices.iter().map(|index| in_flight[*index]).collect();
        let mut rank = u64::from(order);
        for (digit, index) in indices.iter().enumerate() {
            // The rank in the factorial number system, least significant digit first: the choice of the last index has
            // one way, that before it two. Digits are taken from the front, so the base shrinks.
            let ways = (indices.len() - digit) as u64;
            in_flight[*index] = left.remove((rank % ways) as usize);
            rank /= ways;
        }
        hit(Case::OverlappingInFlight);
        if rank != 0 {
            return Err(StateError::Order {
                cut,
                overlapping: indices.len(),
                order,
            });
        }
        Ok(())
    }

    fn check_tear(&self, chosen: bool, tear: &Tear) -> Result<(), StateError> {
        let Some(request) = self.request(tear.request) else {
            return Err(StateError::TornButLeftOut(tear.request));
        };
        let unit = tear.unit;
        let units = if unit.is_power_of_two() && unit >= 512 {
            torn_units(&request, unit)
        } else {
            0
        };
        let fits = match tear.part {
            TornPart::First(count) | TornPart::Last(count) => count > 0 && u64::from(count) < units,
            TornPart::Even | TornPart::Odd => units > 1,
        };
        if !fits {
            return Err(StateError::Tear {
                request: tear.request,
                units,
                unit,
            });
        }
        if chosen {
            Ok(())
        } else {
            Err(StateError::TornButLeftOut(tear.request))
        }
    }

    /// Whether a write in flight has its data in the sidecar.
    pub(crate) fn needs_sidecar(&self) -> bool {
        self.requests()
            .skip(self.completed_count() as usize)
            .any(|request| matches!(request.data, DataRef::Sidecar(_)))
    }
}

/// How many atomic units a request touches.
pub(crate) fn torn_units(request: &Request, unit: u32) -> u64 {
    let unit = u64::from(unit);
    let end = request.io.offset + request.io.len;
    end.div_ceil(unit) - request.io.offset / unit
}

/// The generator is a tree: each node's value is a mix of its parent's and of its own number, so that no sample depends
/// on how many others there are. The mixing is splitmix64's.
pub(crate) fn child(node: u64, number: u64) -> u64 {
    let own = number.wrapping_mul(GAMMA).wrapping_add(GAMMA);
    finalize(node.rotate_left(23).wrapping_add(own))
}

/// The node of a sample: seed, then the reorder plan, the cut, the number.
fn sample_node(seed: u64, cut: Cut, number: u32) -> u64 {
    const REORDER: u64 = 1;
    child(
        child(child(child(0, seed), REORDER), u64::from(cut.0)),
        u64::from(number),
    )
}

/// Of 8 writes, how many a sample keeps on average: mostly half, but also few and nearly all.
fn density(number: u32) -> u32 {
    match number % 4 {
        2 => 1,
        3 => 7,
        _ => 4,
    }
}

fn sampled(node: u64, density: u32, request: u32) -> bool {
    (child(node, u64::from(request)) >> 61) < u64::from(density)
}
