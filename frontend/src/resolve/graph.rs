//! The graph of who uses whom: cycles and an order. Iterative, because programs can be long chains.

use crate::source::Span;

/// Walks the graph depth first; gives nodes after those they use, and the cycles met.
fn walk(uses: &[Vec<(usize, Span)>]) -> (Vec<usize>, Vec<Vec<(usize, Span)>>) {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut state = vec![State::New; uses.len()];
    let mut order = Vec::with_capacity(uses.len());
    let mut cycles = Vec::new();
    // A path of nodes, each with the number of uses looked at so far.
    let mut path: Vec<(usize, usize)> = Vec::new();
    for start in 0..uses.len() {
        if state[start] != State::New {
            continue;
        }
        state[start] = State::Open;
        path.push((start, 0));
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let Some((callee, span)) = uses[node].get(*next).copied() else {
                state[node] = State::Done;
                order.push(node);
                path.pop();
                continue;
            };
            *next += 1;
            match state[callee] {
                State::New => {
                    state[callee] = State::Open;
                    path.push((callee, 0));
                }
                State::Open => {
                    let from = path.iter().position(|(n, _)| *n == callee).unwrap_or(0);
                    // Blame the closing call: its function comes first.
                    let mut cycle = vec![(node, span)];
                    cycle.extend(path[from..path.len() - 1].iter().map(|(n, _)| (*n, span)));
                    cycles.push(cycle);
                }
                State::Done => {}
            }
        }
    }
    (order, cycles)
}

/// One cycle for each edge that closes one; the first entry is the node and place of that edge.
pub fn cycles(uses: &[Vec<(usize, Span)>]) -> Vec<Vec<(usize, Span)>> {
    let (_, mut cycles) = walk(uses);
    // One message a set of functions, however many calls close it.
    let mut seen = std::collections::HashSet::new();
    cycles.retain(|cycle| {
        let mut nodes: Vec<usize> = cycle.iter().map(|(n, _)| *n).collect();
        nodes.sort_unstable();
        seen.insert(nodes)
    });
    cycles
}

/// The nodes, each after those it uses (cycles aside).
pub fn order(uses: &[Vec<(usize, Span)>]) -> Vec<usize> {
    walk(uses).0
}
