//! Kernels in other orders: the same shader, in which workgroups and invocations trade places. Whatever a kernel computes may not
//! depend on who comes first, so the bits must be the same: where they are not, two of them race, or a barrier is missing.
//! Software adapters, which take invocations one after the other, hide such faults in the natural order. For checks; training
//! never goes this way.

/// Who takes whose place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// As the adapter likes.
    #[default]
    Natural,
    /// The last workgroup's work is done by the first one, and the last invocation's by the first.
    Reversed,
    /// First the workgroups of even numbers, then the others.
    Interleaved,
}

impl Order {
    /// All of them, the natural one first.
    pub const ALL: [Order; 3] = [Order::Natural, Order::Reversed, Order::Interleaved];
}

/// Parameters of an entry point that says who does what.
const PARAMETERS: &str = "@builtin(workgroup_id) order_own_group: vec3<u32>, @builtin(num_workgroups) order_all_groups: vec3<u32>, \
                          @builtin(local_invocation_index) order_own_thread: u32";

/// The shader `text` in another order; nothing where its entry point is not written as those of `shaders/` are. With `keep_threads`
/// only workgroups trade places: lanes of a subgroup cannot.
pub fn reorder(text: &str, order: Order, keep_threads: bool) -> Option<String> {
    let sizes = text.split_once("@workgroup_size(")?.1.split_once(')')?.0;
    let sizes: Vec<&str> = sizes.split(',').map(str::trim).chain(["1u", "1u"]).take(3).collect();
    let (before, rest) = text.split_once("fn main(")?;
    let (parameters, body) = rest.split_once(") {")?;
    let group = match order {
        Order::Natural => "order_place",
        Order::Reversed => "order_count - 1u - order_place",
        Order::Interleaved => {
            "select(2u * (order_place - (order_count + 1u) / 2u) + 1u, 2u * order_place, order_place < (order_count + 1u) / 2u)"
        }
    };
    let thread =
        if order == Order::Reversed && !keep_threads { "order_threads - 1u - order_own_thread" } else { "order_own_thread" };
    let mut lines = format!(
        "
    let order_sizes = vec3<u32>({});
    let order_threads = order_sizes.x * order_sizes.y * order_sizes.z;
    let order_count = order_all_groups.x * order_all_groups.y * order_all_groups.z;
    let order_place = (order_own_group.z * order_all_groups.y + order_own_group.y) * order_all_groups.x + order_own_group.x;
    let order_taken = {group};
    let order_group = vec3<u32>(order_taken % order_all_groups.x, order_taken / order_all_groups.x % order_all_groups.y, order_taken / order_all_groups.x / order_all_groups.y);
    let order_thread = {thread};
    let order_local = vec3<u32>(
        order_thread % order_sizes.x,
        order_thread / order_sizes.x % order_sizes.y,
        order_thread / order_sizes.x / order_sizes.y,
    );
",
        sizes.join(", ")
    );
    for parameter in parameters.split("@builtin(").skip(1) {
        let (builtin, rest) = parameter.split_once(')')?;
        let name = rest.split_once(':')?.0.trim();
        let value = match builtin {
            "workgroup_id" => "order_group",
            "num_workgroups" => "order_all_groups",
            "local_invocation_id" => "order_local",
            "local_invocation_index" => "order_thread",
            "global_invocation_id" => "order_group * order_sizes + order_local",
            _ => return None,
        };
        lines.push_str(&format!("    let {name} = {value};\n"));
    }
    Some(format!("{before}fn main({PARAMETERS}) {{{lines}{body}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_and_stand_for_others() {
        let text = "@compute @workgroup_size(8, 4)\nfn main(\n    @builtin(workgroup_id) group: vec3<u32>,\n    \
                    @builtin(local_invocation_index) thread: u32,\n) {\n    work(group, thread);\n}\n";
        let reversed = reorder(text, Order::Reversed, false).unwrap();
        for line in [
            "vec3<u32>(8, 4, 1u)",
            "let group = order_group;",
            "let thread = order_thread;",
            "order_threads - 1u - order_own_thread",
        ] {
            assert!(reversed.contains(line), "{reversed}");
        }
        assert!(reversed.ends_with("    work(group, thread);\n}\n"), "{reversed}");
        assert!(!reorder(text, Order::Reversed, true).unwrap().contains("order_threads - 1u"));
        assert_eq!(reorder("fn main() {}", Order::Reversed, false), None);
    }
}
