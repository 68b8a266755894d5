//! What loops of AMD machine code cost one wave that runs alone: a model, to compare versions of a kernel by. Instructions are counted;
//! latencies are those that the compiler itself assumes (`aco_statistics.cpp`). Barriers and conflicts of memory banks cost nothing.

/// Clocks until a load's value is there: from memory, by the scalar unit (a descriptor, a number), from workgroup memory.
const LOAD: u64 = 320;
const SCALAR_LOADS: (u64, u64) = (30, 200);
const WORKGROUP_LOAD: u64 = 20;

/// One piece of code, run once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub fma: u64,
    /// Vector instructions.
    pub vector: u64,
    pub loads: u64,
    /// Clocks of one wave alone.
    pub latency: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Vector,
    Load,
    Workgroup,
    Scalar(u64),
    Wait,
    Hint,
    Other,
}

fn kind(line: &str) -> Kind {
    let starts = |names: &[&str]| names.iter().any(|name| line.starts_with(name));
    match line {
        _ if starts(&["v_"]) => Kind::Vector,
        _ if starts(&["buffer_load", "global_load", "flat_load", "scratch_load"]) => Kind::Load,
        _ if starts(&["ds_"]) => Kind::Workgroup,
        _ if starts(&["s_load"]) => Kind::Scalar(SCALAR_LOADS.0),
        _ if starts(&["s_buffer_load"]) => Kind::Scalar(SCALAR_LOADS.1),
        _ if starts(&["s_wait"]) => Kind::Wait,
        _ if starts(&["s_delay_alu", "s_nop", "s_clause"]) => Kind::Hint,
        _ => Kind::Other,
    }
}

fn fmas(line: &str) -> u64 {
    // Two instructions may be issued together.
    line.split("::").filter(|part| part.contains("_fma") || part.contains("_mac_f32") || part.contains("_mad_f32")).count() as u64
}

/// Clocks for which a vector instruction occupies its unit of 32 lanes.
fn busy(line: &str, wave: u32) -> u64 {
    const QUARTER_RATE: [&str; 11] =
        ["v_mul_lo", "v_mul_hi", "v_mad_u64", "v_mad_i64", "v_rcp", "v_rsq", "v_sqrt", "v_exp", "v_log", "v_sin", "v_cos"];
    let rate = if QUARTER_RATE.iter().any(|name| line.starts_with(name)) { 4 } else { 1 };
    rate * u64::from(wave / 32)
}

/// How many loads a wait leaves under way, of those whose counter has one of these names.
fn left(line: &str, names: [&str; 2]) -> Option<usize> {
    let rest = names.iter().find_map(|name| Some(line.split_once(name)?.1))?;
    let digits: String = rest.trim_start_matches(['(', ' ']).chars().take_while(char::is_ascii_alphanumeric).collect();
    digits.strip_prefix("0x").map_or_else(|| digits.parse().ok(), |hex| usize::from_str_radix(hex, 16).ok())
}

fn cost<'a>(code: impl Iterator<Item = &'a str>, wave: u32) -> Cost {
    let mut cost = Cost::default();
    let mut now = 0;
    // When the loads under way are there: from memory, and the others.
    let mut under_way: [Vec<u64>; 2] = Default::default();
    for line in code {
        match kind(line) {
            Kind::Vector => {
                cost.vector += 1;
                cost.fma += fmas(line);
                now += busy(line, wave);
            }
            Kind::Load => {
                cost.loads += 1;
                now += 1;
                under_way[0].push(now + LOAD);
            }
            Kind::Workgroup => {
                now += 1;
                under_way[1].push(now + WORKGROUP_LOAD);
            }
            Kind::Scalar(latency) => {
                now += 1;
                under_way[1].push(now + latency);
            }
            Kind::Wait => {
                for (queue, names) in under_way.iter_mut().zip([["vmcnt", "loadcnt"], ["lgkmcnt", "kmcnt"]]) {
                    if let Some(keep) = left(line, names) {
                        let done = queue.drain(..queue.len().saturating_sub(keep));
                        now = done.fold(now, u64::max);
                    }
                }
            }
            Kind::Hint => {}
            Kind::Other => now += 1,
        }
    }
    cost.latency = under_way.into_iter().flatten().fold(now, u64::max);
    cost
}

/// The machine code of a shader, cut at its labels.
pub struct Code<'a> {
    blocks: Vec<(&'a str, Vec<&'a str>)>,
    /// First and last block of each loop, in their order.
    loops: Vec<(usize, usize)>,
    wave: u32,
}

/// The loop that multiplies, by the step of its product.
pub struct Product {
    /// A round of its innermost loop.
    pub round: Cost,
    /// Vector instructions a step.
    pub vector: f64,
    /// Clocks a step.
    pub latency: f64,
}

impl<'a> Code<'a> {
    pub fn parse(assembly: &'a str, wave: u32) -> Self {
        let mut blocks = vec![("", Vec::new())];
        for line in assembly.lines() {
            let line = line.split(';').next().unwrap_or_default().trim();
            if let Some(label) = line.strip_suffix(':') {
                blocks.push((label, Vec::new()));
            } else if let (false, Some((_, code))) = (line.is_empty(), blocks.last_mut()) {
                code.push(line);
            }
        }
        let mut loops: Vec<(usize, usize)> = Vec::new();
        for (last, (_, code)) in blocks.iter().enumerate() {
            for target in code.iter().filter(|line| line.starts_with("s_branch") || line.starts_with("s_cbranch")) {
                let label = target.split_whitespace().nth(1);
                let first = blocks.iter().position(|&(name, _)| Some(name) == label).filter(|&first| first <= last);
                match (first, first.and_then(|first| loops.iter_mut().find(|other| other.0 == first))) {
                    (_, Some(known)) => known.1 = last,
                    (Some(first), None) => loops.push((first, last)),
                    _ => {}
                }
            }
        }
        loops.sort_unstable();
        Self { blocks, loops, wave }
    }

    fn cost_of(&self, chosen: impl Fn(usize) -> bool) -> Cost {
        let blocks = self.blocks.iter().enumerate().filter(|&(at, _)| chosen(at));
        cost(blocks.flat_map(|(_, (_, code))| code.iter().copied()), self.wave)
    }

    fn inside(outer: (usize, usize), inner: (usize, usize)) -> bool {
        outer != inner && outer.0 <= inner.0 && inner.1 <= outer.1
    }

    /// A round of each loop, without the loops inside it; how deep each stands.
    pub fn rounds(&self) -> Vec<(usize, Cost)> {
        let round = |&span: &(usize, usize)| {
            let inner =
                |at: usize| self.loops.iter().any(|&other| Self::inside(span, other) && (other.0..=other.1).contains(&at));
            let depth = self.loops.iter().filter(|&&other| Self::inside(other, span)).count();
            (depth, self.cost_of(|at| (span.0..=span.1).contains(&at) && !inner(at)))
        };
        self.loops.iter().map(round).collect()
    }

    /// What stands outside of all loops.
    pub fn straight(&self) -> Cost {
        self.cost_of(|at| !self.loops.iter().any(|&(first, last)| (first..=last).contains(&at)))
    }

    /// The loop with most fma for its length, where a step of the product has `step` of them. A loop of chunks around it that multiplies
    /// nothing itself counts with it.
    pub fn product(&self, step: u64, chunk: u64) -> Option<Product> {
        let cost_of = |span: (usize, usize)| self.cost_of(|at| (span.0..=span.1).contains(&at));
        let innermost = self.loops.iter().filter(|&&span| !self.loops.iter().any(|&other| Self::inside(span, other)));
        let costs = innermost.map(|&span| (span, cost_of(span))).filter(|(_, cost)| cost.fma > 0 && cost.fma % step == 0);
        let (best, round) = costs.max_by_key(|(_, cost)| cost.fma * cost.fma / cost.vector.max(1))?;
        let steps = round.fma as f64 / step as f64;
        let around = self.loops.iter().filter(|&&span| Self::inside(span, best)).min_by_key(|span| span.1 - span.0);
        let around = around.filter(|&&span| chunk > 0 && cost_of(span).fma == round.fma);
        let outer = around.map(|&(first, last)| {
            let cost = self.cost_of(|at| (first..=last).contains(&at) && !(best.0..=best.1).contains(&at));
            // The compiler may have unrolled the steps of a chunk.
            let share = if steps > 1.0 { steps } else { chunk as f64 };
            (cost.vector as f64 / share, cost.latency as f64 / share)
        });
        let (vector, latency) = outer.unwrap_or_default();
        Some(Product { round, vector: round.vector as f64 / steps + vector, latency: round.latency as f64 / steps + latency })
    }
}
