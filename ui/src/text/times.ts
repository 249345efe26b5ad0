// How long ago, and when.

export const times = {
  justNow: "just now",
  minutesAgo: (amount: number) => `${amount} min ago`,
  hoursAgo: (amount: number) => `${amount} h ago`,
  daysAgo: (amount: number) => `${amount} days ago`,
  yesterday: "yesterday",
  today: "today",
};
