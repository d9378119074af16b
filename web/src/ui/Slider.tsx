import { type CSSProperties, type KeyboardEvent, type PointerEvent, useRef } from "react";

interface Props {
  label: string;
  value: number;
  min: number;
  max: number;
  from: number; // where the bar grows from
  step: number;
  text: string;
  disabled?: boolean;
  testId: string;
  onTurn: (value: number) => void;
  onReset: () => void;
}

const FINE = 0.1; // Shift

/** A bar to drag. Shift is fine, double-click resets, arrows step, Home and End go to the ends. */
export function Slider({ label, value, min, max, from, step, text, disabled, testId, onTurn, onReset }: Props) {
  const drag = useRef<{ x: number; value: number } | null>(null);
  const range = max - min;
  const turn = (wish: number): void => {
    onTurn(snap(wish, min, max, step));
  };
  const down = (event: PointerEvent<HTMLDivElement>): void => {
    if (disabled || event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const box = event.currentTarget.getBoundingClientRect();
    const start = event.shiftKey ? value : min + ((event.clientX - box.left) / box.width) * range;
    drag.current = { x: event.clientX, value: start };
    if (!event.shiftKey && event.detail < 2) turn(start);
  };
  const move = (event: PointerEvent<HTMLDivElement>): void => {
    if (!drag.current) return;
    const travel = ((event.clientX - drag.current.x) / event.currentTarget.clientWidth) * range * (event.shiftKey ? FINE : 1);
    const wish = Math.min(max, Math.max(min, drag.current.value + travel));
    drag.current = { x: event.clientX, value: wish };
    if (travel) turn(wish);
  };
  const key = (event: KeyboardEvent): void => {
    const wish = keyed(event, value, min, max, step);
    if (wish === null || disabled) return;
    event.preventDefault();
    event.stopPropagation();
    turn(wish);
  };
  const at = (number: number): string => `${String(range > 0 ? (Math.min(max, Math.max(min, number)) - min) / range * 100 : 0)}%`;
  return (
    <div
      className="slider-bar"
      role="slider"
      tabIndex={disabled ? -1 : 0}
      aria-label={label}
      aria-valuemin={min}
      aria-valuemax={max}
      aria-valuenow={value}
      aria-valuetext={text}
      aria-disabled={disabled}
      data-testid={testId}
      style={{ "--at": at(value), "--from": at(from) } as CSSProperties}
      onPointerDown={down}
      onPointerMove={move}
      onPointerUp={() => (drag.current = null)}
      onPointerCancel={() => (drag.current = null)}
      onDoubleClick={disabled ? undefined : onReset}
      onKeyDown={key}
    />
  );
}

export function snap(wish: number, min: number, max: number, step: number): number {
  const snapped = min + Math.round((wish - min) / step) * step;
  return Number(Math.min(max, Math.max(min, snapped)).toPrecision(12));
}

/** Where a key takes the value; null for keys that mean nothing here. */
function keyed({ key, shiftKey }: KeyboardEvent, value: number, min: number, max: number, step: number): number | null {
  const one = Math.max(step, ((max - min) / 100) * (shiftKey ? FINE : 1));
  switch (key) {
    case "ArrowRight":
    case "ArrowUp":
      return value + one;
    case "ArrowLeft":
    case "ArrowDown":
      return value - one;
    case "PageUp":
      return value + one * 10;
    case "PageDown":
      return value - one * 10;
    case "Home":
      return min;
    case "End":
      return max;
    default:
      return null;
  }
}
