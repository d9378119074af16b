import type { ComponentProps } from "react";
import "./ui.css";

interface Props extends ComponentProps<"button"> {
  tone?: "hand" | "plain";
  size?: "large";
}

/** A mouse click leaves the keyboard where it was, so that Space goes on meaning play and stop. */
export function Button({ tone, size, className = "", ...rest }: Props) {
  return (
    <button
      type="button"
      className={`button ${className}`}
      data-tone={tone}
      data-size={size}
      onMouseDown={(event) => {
        event.preventDefault();
      }}
      {...rest}
    />
  );
}
