interface Props {
  label: string;
  on: boolean;
  disabled?: boolean;
  testId: string;
  onTurn: (on: boolean) => void;
}

export function Switch({ label, on, disabled, testId, onTurn }: Props) {
  return (
    <button
      type="button"
      role="switch"
      className="switch"
      aria-label={label}
      aria-checked={on}
      disabled={disabled}
      data-testid={testId}
      onClick={() => {
        onTurn(!on);
      }}
    />
  );
}
