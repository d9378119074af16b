import { useMemo } from "react";
import { useStore } from "zustand";
import { Panel } from "../../controls/Panel";
import { fieldsOfPatch } from "../../state/patch";
import { player } from "../../state/scope";
import { Section } from "../../ui/Section";
import { type Field, words } from "../../wire/schema";
import { Apply } from "./Apply";

/** Every control of the chain: what is live first, the look that any pipeline has next, what is fixed at load last. */
export function Controls() {
  const patch = useStore(player.patch);
  const watching = useStore(player.session, ({ role, phase }) => role === "viewer" && phase.at === "live");
  const fields = useMemo(() => fieldsOfPatch(patch), [patch]);
  const groups = grouped(fields.filter((field) => !field.load));
  const load = fields.filter((field) => field.load);
  return (
    <>
      {groups.map(([title, members]) => (
        <Section key={title} title={title}>
          <Panel fields={members} disabled={watching} />
        </Section>
      ))}
      {load.length > 0 && (
        <Section title="At load" note="needs a reload">
          <Panel fields={load} disabled={watching} />
        </Section>
      )}
      <Apply />
    </>
  );
}

function grouped(fields: Field[]): [string, Field[]][] {
  const groups = new Map<string, Field[]>();
  for (const field of fields) {
    const title = titleOf(field);
    groups.set(title, [...(groups.get(title) ?? []), field]);
  }
  return [...groups].sort(([a], [b]) => Number(a === "Picture") - Number(b === "Picture"));
}

function titleOf({ fast, category }: Field): string {
  if (category === "configuration") return fast ? "Picture" : "Controls";
  return words(category);
}
