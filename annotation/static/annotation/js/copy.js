// Copy buttons: `<button data-copy="id of an input">`. The input stays selectable by hand.

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const input = document.getElementById(button.dataset.copy);
  input.select();
  try {
    await navigator.clipboard.writeText(input.value);
  } catch {
    document.execCommand("copy"); // plain http: the clipboard API does not exist there
  }
  const label = button.textContent;
  button.textContent = button.dataset.done;
  setTimeout(() => { button.textContent = label; }, 2000);
});
document.querySelectorAll("[data-copy]").forEach((button) => { button.hidden = false; });
