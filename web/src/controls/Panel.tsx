import { useStore } from "zustand";
import { valueOf } from "../state/params";
import { player } from "../state/scope";
import { Row } from "../ui/Section";
import type { Field, Json } from "../wire/schema";
import "./controls.css";
import { kindOf, rowsOf } from "./registry";

/** Fields in, controls out. */
export function Panel({ fields, disabled }: { fields: Field[]; disabled: boolean }) {
  return rowsOf(fields).map((row) => {
    const [first, second] = row;
    if (!first) return null;
    const label = second ? `${first.label} × ${second.label.toLowerCase()}` : first.label;
    const bare = kindOf(first).name === "cue";
    return (
      <Row key={row.map(({ name }) => name).join()} label={bare ? "" : label} hint={first.hint} htmlFor={`control-${first.name}`}>
        <div className="control-row">
          {row.map((field) => (
            <Bound key={field.name} field={field} disabled={disabled} />
          ))}
        </div>
      </Row>
    );
  });
}

/** One control, tied to the store: it alone renders when its value moves. */
function Bound({ field, disabled }: { field: Field; disabled: boolean }) {
  const { params } = player;
  const value = useStore(params.store, ({ values }) => valueOf(values, field));
  const owner = useStore(params.store, ({ owners }) => owners[field.name]);
  const turn = (wish: Json): void => {
    if (field.cue) params.cue(field.name, wish);
    else (field.load ? params.note : params.turn)({ [field.name]: wish });
  };
  const moved = owner !== undefined && value !== field.preset;
  const { Control } = kindOf(field);
  return (
    <div className="control" data-owner={moved ? owner : "none"}>
      <Control
        field={field}
        value={value}
        disabled={disabled}
        turn={turn}
        reset={() => {
          turn(field.preset);
        }}
      />
    </div>
  );
}
