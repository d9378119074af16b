import { useStore } from "zustand";
import { fits, mainOf, type Patch, type Place, whyNot } from "../../state/patch";
import { player } from "../../state/scope";
import { Row, Section } from "../../ui/Section";
import { type Choice, Select } from "../../ui/Select";
import "./pipelines.css";

const NONE: Choice = { value: "", label: "None" };

export function Pipelines() {
  const patch = useStore(player.patch);
  const main = mainOf(patch);
  return (
    <Section title="Pipeline">
      <Slots place="before" label="Before" patch={patch} />
      <Row label="Main" htmlFor="pipeline-select">
        <Select
          id="pipeline-select"
          data-testid="pipeline-select"
          value={patch.main ?? ""}
          choices={[...(main ? [] : [{ value: "", label: "Choose…" }]), ...choicesFor(patch, "main")]}
          onChoose={(id) => {
            player.patch.setState({ main: id || null });
          }}
        />
      </Row>
      <Slots place="after" label="After" patch={patch} />
      {main && <p className="pipeline-about">{main.description}</p>}
    </Section>
  );
}

/** One select for each stage that is there, and an empty one for the next. */
function Slots({ place, label, patch }: { place: "before" | "after"; label: string; patch: Patch }) {
  const choices = choicesFor(patch, place);
  if (!choices.length) return null;
  const chosen = patch[place];
  const put = (i: number, id: string): void => {
    player.patch.setState({ [place]: [...chosen.slice(0, i), ...(id ? [id] : []), ...chosen.slice(i + 1)] });
  };
  const shown = chosen.length < choices.length ? [...chosen, ""] : chosen;
  return shown.map((id, i) => (
    <Row key={`${place}-${String(i)}`} label={i ? "" : label} htmlFor={`${place}-select-${String(i)}`}>
      <Select
        id={`${place}-select-${String(i)}`}
        data-testid={`${place}-select-${String(i)}`}
        aria-label={`${label} ${String(i + 1)}`}
        value={id}
        choices={[i ? { ...NONE, label: "and nothing more" } : NONE, ...choices]}
        onChoose={(next) => {
          put(i, next);
        }}
      />
    </Row>
  ));
}

function choicesFor({ entries }: Patch, place: Place): Choice[] {
  return Object.values(entries)
    .filter((entry) => fits(entry, place))
    .map((entry) => ({ value: entry.id, label: entry.name, why: whyNot(entry) }))
    .sort((a, b) => Number(Boolean(a.why)) - Number(Boolean(b.why)));
}
