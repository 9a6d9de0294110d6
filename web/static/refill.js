// What htmx shows is only what the server answered well; anything else says that the connection was lost.
document.addEventListener("htmx:after:request", (event) => {
  const status = event.detail.ctx.response.status;
  // Signed out, or another account is in view.
  if (status === 401 || status === 409) window.location.reload();
  document.body.classList.toggle("offline", status >= 400);
  if (status >= 400) event.preventDefault();
});
document.addEventListener("htmx:error", () => document.body.classList.add("offline"));

// On a phone the navigation scrolls: to where one is.
document.querySelector("nav.sections [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
